"""How near a picture comes to the clean one."""

import numpy as np
from scipy.ndimage import gaussian_filter

TOP = {"uint8": 255.0, "uint16": 65535.0}


def unit(picture: np.ndarray) -> np.ndarray:
    """(height, width, channels) in float64, black 0 and white 1."""
    values = np.asarray(picture)
    values = values.astype(np.float64) / TOP.get(str(values.dtype), 1.0)
    return values if values.ndim == 3 else values[..., None]


def psnr(one: np.ndarray, other: np.ndarray, where: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(1 / mean squared error), of all pixels or of those where a mask is True.

    >>> psnr(np.zeros((4, 4)), np.full((4, 4), 0.1))
    20.0
    """
    away = np.square(unit(one) - unit(other))
    error = away.mean() if where is None else away[where].mean()
    return float("inf") if error == 0 else float(np.round(-10 * np.log10(error), 10))


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity, 1 for equal pictures: the mean over pixels and channels under a Gaussian window of 1.5 pixels.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", equation 13.

    >>> ssim(np.eye(20), np.eye(20))
    1.0
    """
    a, b = unit(one), unit(other)
    blurred = lambda x: gaussian_filter(x, (1.5, 1.5, 0), truncate=3.5)  # noqa: E731
    mean_a, mean_b = blurred(a), blurred(b)
    var_a, var_b, both = blurred(a * a) - mean_a**2, blurred(b * b) - mean_b**2, blurred(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return float(np.mean((2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))))
