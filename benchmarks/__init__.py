"""Benchmarks: one module a table, runs logged as JSON, RESULTS.md and docs/variants.md written from the logs.

python -m benchmarks NAME [--quick] [--seeds N]       from the root of the repository
python -m benchmarks results
"""

# In the order of RESULTS.md.
TABLES = (
    "linear_pca",
    "tutorial_quality",
    "tutorial_time",
    "defaults",
    "ablation",
    "hinton",
    "blobs",
    "map2d",
    "clustering",
    "map",
    "architectures",
    "networks",
    "robustness",
    "sparsity",
    "synthetic_features",
    "wide",
    "likelihood",
    "generation",
    "faces",
    "components",
    "quantised",
    "lossy",
    "lossless",
    "features",
    "uses",
    "search",
    "imputation",
    "outliers",
    "streams",
    "sequences",
    "text",
    "recommend",
    "forecast",
    "restoration",
    "speed",
    "transform_rate",
    "folder",
    "resume",
    "distributed",
    "start_up",
)
