"""Learning a model from matured snapshots, judged on customers and months that it has not seen."""

from churn.training.additive import fit
from churn.training.leaks import LEAK_AUC, auc_alone
from churn.training.learning import PROBE_ROWS, Trained, train
from churn.training.lessons import AS_OF, LABEL, labels_of, varying, without_duplicates
from churn.training.plan import TrainingPlan
from churn.training.segments import segments_to_train

__all__ = [
    "AS_OF",
    "LABEL",
    "LEAK_AUC",
    "PROBE_ROWS",
    "Trained",
    "TrainingPlan",
    "auc_alone",
    "fit",
    "labels_of",
    "segments_to_train",
    "train",
    "varying",
    "without_duplicates",
]
