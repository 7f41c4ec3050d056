"""What several tables measure alike."""

import numpy as np
from sklearn.decomposition import PCA


def squared_error(X: np.ndarray, rebuilt: np.ndarray) -> float:
    """Sum over the columns, mean over the rows, in float64."""
    return float(np.square(X.astype(np.float64) - rebuilt).sum(1).mean())


def pca_error(train: np.ndarray, test: np.ndarray, n_components: int) -> float:
    """What PCA of the training rows leaves of the test rows; the exact decomposition, not the randomised one."""
    pca = PCA(n_components, svd_solver="covariance_eigh" if len(train) > train.shape[1] else "full").fit(train)
    return squared_error(test, pca.inverse_transform(pca.transform(test)))
