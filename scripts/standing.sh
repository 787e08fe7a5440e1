# For scripts/up and scripts/down, which source it: where they write down what runs, and whether it still does.
run=$CHURN_DATA/run

# A number alone may be another process's by now: when it began tells them apart. Of one that is dead, and that nobody
# has reaped yet, it tells nothing.
began() { sed -n 's/^.*) [^ZX] //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f19; }

# Whether what was started under the name still runs; of what died at once not even its beginning was written down.
runs() {
    local pid since
    read -r pid since 2>/dev/null <"$run/$1.pid" && [ -n "$since" ] && [ "$(began "$pid")" = "$since" ]
}
