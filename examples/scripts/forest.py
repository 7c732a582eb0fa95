"""Fits a random forest to the tumours. Needs scikit-learn.

`examples/forest.smlt` searches for its settings; from the folder `examples`, it runs by hand as well:

    python scripts/forest.py --trees 80 --depth 6 --share 0.3
"""

import pathlib
import pickle

import numpy
import smlt
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

# Trees that are grown between two looks at the clock.
STEP = 20


@smlt.task
def main(trees: int, depth: int, share: float):
    """Fit a random forest, and judge it by tumours that it has not seen."""
    table = numpy.genfromtxt(smlt.project() / "data" / "breast_cancer.csv", delimiter=",", skip_header=1)
    learn, others = train_test_split(table, test_size=0.4, random_state=1, stratify=table[:, -1])
    valid, test = train_test_split(others, test_size=0.5, random_state=1, stratify=others[:, -1])
    forest = RandomForestClassifier(0, max_depth=depth, max_features=share, warm_start=True, random_state=0)
    while forest.n_estimators < trees:
        forest.n_estimators = min(trees, forest.n_estimators + STEP)
        forest.fit(learn[:, :-1], learn[:, -1])
        loss = log_loss(valid[:, -1], forest.predict_proba(valid[:, :-1]))
        smlt.metric("log_loss", loss, step=forest.n_estimators)
        smlt.progress(forest.n_estimators / trees)
        if smlt.should_stop():
            break
    model = pathlib.Path("forest.pickle")
    model.write_bytes(pickle.dumps(forest))
    accuracy = forest.score(test[:, :-1], test[:, -1])
    return {"log_loss": loss, "accuracy": accuracy, "trees": forest.n_estimators, "model": model}


if __name__ == "__main__":
    main()
