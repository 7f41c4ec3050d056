"""The estimator: an autoencoder with scikit-learn's contract, composed of parts."""

import copy
import math
from contextlib import suppress
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, check_random_state, validate_data
from torch import Tensor

from . import defaults, generation
from .checkpoint import NotKept, keeper_of, params_of, refuse_other_seed
from .data import KINDS, Rows, Schema, Table, Vectors, as_array, layout_of, open_data
from .data.conditions import Condition
from .data.frames import Layout
from .data.lazy import Lazy, taken
from .data.parquet import ParquetTable
from .data.schema import Ready, fits, given_back, precision_of, refuse_non_finite, tensor_of
from .kinds import Reading, name_of, reading_of
from .network import ROLES, Choices, Network, block_size, fewer, in_blocks, initialise, loss_part, refuse_misplaced, several
from .parallel import processes
from .parts import BOTTLENECKS, Code, Data, part_of
from .parts.base import is_auto
from .parts.random import key_of
from .parts.ranges import Range, check_ranges, flag, number, one_of, whole
from .reference import Comparison, Reference
from .samples import Samples
from .state import counters_of, put_counters
from .training import Course, Run, Training, train
from .trouble import Diverged, warn_of_collapse


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learns to squeeze samples through a code and to rebuild them from it.

        minimise  E[ loss(x, decode(encode(corrupt(x)))) + cost(code) ]

    Parameters
    ----------
    n_components : "auto", int or None, default "auto"
        Numbers in the code. "auto" is a tenth of the input's, from 2 to 32 and always fewer than the input has; for a sparse
        bottleneck twice the input's, up to 4096. None keeps the natural shape of the architecture's innermost layer (a map,
        for convolution).
    architecture : "auto", str or part, default "auto"
        The networks that read and write: "dense", "conv", "recurrent", "transformer" or "local", or a part such as
        `Dense(hidden=(128, 64))`. "auto" is convolutional for images and video, recurrent for sequences and sound, local for
        text, else dense; where a target has another size, which convolution and local layers keep, dense, and of text recurrent.
    bottleneck : str or part, default "plain"
        What limits the code: "plain", "l1", "kl_sparse", "topk", "batch_topk", "jumprelu", "gaussian", "vector_quantized",
        "residual_quantized", "finite_scalar", "rounded", or a part such as `Gaussian(beta=4.0)`.
    corruption : "auto", None, str, part or list of them, default "auto"
        What is taken away from the source before it is encoded, while training. "auto" adds a little noise where samples
        are few, so that they are not learnt by heart: 14 / sqrt(n_samples * n_components) of the columns' spread. Of tables it
        hides a quarter of the cells, and of interactions half.
    loss : "auto", str, part or callable, default "auto"
        "squared", "absolute", "bernoulli", "multinomial" (of counts), "columns" (of tables), "categorical" (of text),
        "ssim" (of pictures) or any `(output, target) -> (batch,)`, one number a sample. "auto" is columns for a table,
        multinomial for interactions, categorical for text, bernoulli where the target lies in [0, 1], else squared.
    penalties : str, part or list of them, default ()
        What else should hold: "contractive", "sparsity", "mmd", "total_correlation", "adversary", "code_norm".
    objective : str or part, default "sum"
        How these add up: "sum", "importance_weighted", "rate_distortion".
    prior : str, part or None, default None
        What `sample` draws codes from: "normal", "mixture", "vamp", "autoregressive" or a part. Fitted to the codes after
        training, or trained along; `fit_prior` can do it later. A Gaussian bottleneck brings the normal one.
    kind : "auto", "vectors", "table", "images", "video", "sequences", "sound", "mel", "interactions", "text" or
        `Text`, default "auto"
        A frame with other cells than numbers, or with missing ones, is a table; so is an array, with NaN where cells are
        missing, under kind="table". A frame with columns unique_id and ds is sequences, and so are lists of arrays of several
        lengths. Under kind="interactions" a CSR matrix (users, items), or a frame with the columns user, item and perhaps
        rating, is who used or rated what: a sample is a user (see `data.Interactions`). `Text(tokens="bpe")` says besides how
        text is read.
    scale : "auto", "none", "standard" or "minmax", default "auto"
        "auto" leaves data in [0, 1] alone and standardises other data; undone on the way out.
    max_epochs, batch_size : "auto" or int
        "auto" follows the number of samples; see `docs/decisions/0003-recipe.md`.
    learning_rate : "auto" or float
    patience : int or None, default None
        Stop after so many epochs without a better validation loss, and keep the best weights. Where `fit` is given nothing to
        validate on, a tenth of the samples is held out.
    training : Training or None, default None
        What of the loop is seldom changed: optimiser, schedule, weight decay.
    warm_start : bool, default False
        A further `fit` begins with what the last one learnt, schema and scaling included: fine-tuning on new data, with the
        parameters of the loop as they are now.
    device : "auto", "cpu", "cuda" or "mps", default "auto"
    dtype : "float32" or "float64", default "float32"
        Of weights and arithmetic; codes come in the dtype of the data.
    random_state : int, RandomState or None, default None
    verbose : int, default 0
        1 shows a progress bar on stderr.

    Attributes
    ----------
    network_ : the trained `torch.nn.Module`
    history_ : list of dict, one an epoch: objective, loss (nats a sample) and further terms
    schema_, target_schema_ : what a sample is, with the scaling that was learnt
    n_components_, code_shape_ : numbers in a code, and its natural shape
    n_features_in_, feature_names_in_, n_iter_, seed_ : as usual

    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) @ np.ones((2, 10))
    >>> model = Autoencoder(2, max_epochs=3, random_state=0).fit(X)
    >>> model.transform(X).shape, model.reconstruct(X).shape
    ((200, 2), (200, 10))
    """

    network_: Network
    history_: list[dict]
    schema_: Schema
    target_schema_: Schema
    loss_: object
    corruption_: object
    prior_: object
    code_spread_: Tensor | None
    reference_: Reference | None
    condition_: Condition | None
    n_iter_: int
    seed_: int
    course_: Course | None = None  # what `partial_fit` goes on with
    kept_room: int | None = None  # while a run with checkpoints goes on: what it was begun with, for the order follows from it
    asks_condition = False  # `presets.conditional` sets it: without a condition that would be another model

    def __init__(
        self,
        n_components="auto",
        *,
        architecture="auto",
        bottleneck="plain",
        corruption="auto",
        loss="auto",
        penalties=(),
        objective="sum",
        prior=None,
        kind="auto",
        scale="auto",
        max_epochs="auto",
        batch_size="auto",
        learning_rate="auto",
        patience=None,
        training=None,
        warm_start=False,
        device="auto",
        dtype="float32",
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.architecture = architecture
        self.bottleneck = bottleneck
        self.corruption = corruption
        self.loss = loss
        self.penalties = penalties
        self.objective = objective
        self.prior = prior
        self.kind = kind
        self.scale = scale
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.training = training
        self.warm_start = warm_start
        self.device = device
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------------------------------------- fit

    def fit(self, X, y=None, *, target=None, condition=None, sample_weight=None, validation=None, checkpoint=None, callbacks=()):
        """Trains on `X`.

        Parameters
        ----------
        X : array, tensor, CSR matrix, frame or path, (n_samples, ...)
        y : ignored; a Pipeline hands class labels to every step
        target : like X, default X itself; what must come out for each sample
        condition : (n_samples,) labels or (n_samples, width) numbers, default None
            What encoder and decoder are told besides; then every verb that reads or writes samples asks for it.
        sample_weight : (n_samples,), default None; how often each sample counts. "auto" reads the sum as the number of samples
        validation : array like X (with a target: a pair), share in (0, 1) or None; its loss is noted after every epoch
        checkpoint : path of a folder, default None
            Where the run is kept. After it was stopped, at whatever moment, the same call goes on from the newest checkpoint, and
            ends with the same bits as if nothing had happened; of a run that was finished it gives the model at once.
        callbacks : objects with some of the methods of `callbacks.Callback`, such as `on_epoch_end(network, record)`, which ends
            the training where it returns True
        """
        check_parameters(self)
        self._refuse_no_condition(condition)
        keeper, callbacks = keeper_of(checkpoint, callbacks, self, self.training or Training(), processes(str(self.device)))
        fresh = copy.copy(self)  # a fit that is refused or diverges leaves what was fitted before as it was
        warm = self.warm_start and hasattr(self, "network_")
        for name in [name for name in vars(fresh) if name.endswith("_") and not warm]:
            delattr(fresh, name)
        try:
            fresh._fit(X, target, condition, sample_weight, validation, keeper, callbacks)
        except Diverged:
            if hasattr(fresh, "reference_") and not hasattr(self, "network_"):
                self.__dict__ = fresh.__dict__  # better than nothing: the weights before the step that failed
            raise
        finally:
            fresh.__dict__.pop("kept_room", None)
        self.__dict__ = fresh.__dict__
        return self

    def fit_transform(self, X, y=None, *, condition=None, **fit_params):
        """`fit` and then `transform`, of the same samples and with the same condition."""
        return self.fit(X, y, condition=condition, **fit_params).transform(X, condition)

    def partial_fit(self, X, y=None, *, target=None, condition=None, sample_weight=None):
        """One pass of training over `X`, for streams: call it with one part of the data after another.

        The first call learns the schema, the scaling and all that is "auto" but the length of the run, from its own samples, and
        builds the network; later ones, and those after `fit`, must bring data of the same form. The learning rate stays the
        same from step to step; "auto" is a quarter of that of `fit` for Muon, and the same for Adam. What the optimiser
        remembers is kept from call to call and not saved. `n_iter_` counts the passes, and `history_` notes each.

        Parameters
        ----------
        X, target, condition, sample_weight : as for `fit`
        y : ignored

        >>> model = Autoencoder(4, random_state=0)
        >>> for part in np.array_split(X, 4):
        ...     model = model.partial_fit(part)
        >>> model.n_iter_, model.transform(X).shape
        (4, (100, 4))
        """
        check_parameters(self)
        if hasattr(self, "network_"):
            self._need("decoder")
            self._continue(self._read_samples(X, target, condition, sample_weight))
            return self
        self._refuse_no_condition(condition)
        fresh = copy.copy(self)
        samples = fresh._begin(X, target, condition, sample_weight, None)
        ready = samples.ready(fresh._room())
        fresh._start(ready)
        fresh.history_, fresh.n_iter_ = [], 0
        fresh._pass(samples, ready)
        self.__dict__ = fresh.__dict__
        return self

    def _continue(self, samples: Samples) -> None:
        """A further pass; where it fails, the weights are what they were."""
        before = copy.deepcopy(self.network_.state_dict())
        try:
            self._pass(samples, samples.ready(self._room()))
        except BaseException:
            self.network_.load_state_dict(before)
            self.network_.eval()
            self.course_ = None
            raise

    def _pass(self, samples: Samples, ready: Samples) -> None:
        """One epoch at a constant rate, by the optimisers of the last pass, where there was one."""
        if self.course_ is None:
            run = self._run(ready, ())
            run.learning_rate = run.training.steady_rate if is_auto(self.learning_rate) else run.learning_rate
            self.course_ = Course.of(self.network_, run)
        self.history_ = self.history_ + self.course_.passed(self.network_, ready, self.n_iter_)
        self.n_iter_ += 1
        self._conclude(samples)

    def _fit(self, X, target, condition, sample_weight, validation, keeper, callbacks) -> None:
        before = self.history_ if hasattr(self, "network_") else []  # of a warm start
        begin = self._begin_again if before else self._begin
        self.kept_room = processes().same(keeper.room_or(self._room))
        samples = begin(X, target, condition, sample_weight, validation, keeper)
        room = self._room()
        ready = samples.ready(room)
        (self._look if before else self._start)(ready)
        keeper.begin(self.seed_, room, ready, self.device_.type, self.network_ if before else None)
        run = replace(self._run(ready, callbacks), keeper=keeper, before=self.n_iter_ if before else 0)
        run.parts = run.processes.same(keeper.parts_or(run.parts))
        try:
            history = train(self.network_, run)
        except Diverged as failure:
            self._keep_good_part(failure, samples)
            raise
        self.history_, self.n_iter_ = before + history, run.before + len(history)
        del ready, run  # and with them windows of the data
        self._conclude(samples)
        warn_of_collapse(self.network_, self.history_[-1])

    def _keep_good_part(self, failure: Diverged, samples: Samples) -> None:
        """Where some steps went well before one that failed, the model is what it was then."""
        if failure.history:
            self.history_, self.n_iter_ = failure.history, len(failure.history)
            with suppress(ValueError, FloatingPointError):  # of data that even these weights make no numbers of
                self._conclude(samples)

    def _begin(self, X, target, condition, sample_weight, validation, keeper: Any = NotKept) -> Samples:
        """Learns what a sample is, and builds the network for it."""
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        if keeper.seed is not None:
            self._take_up(keeper)
        self.seed_ = processes(str(self.device)).same(self.seed_)
        source, weight = self._learn(X, sample_weight)
        targets = source if target is None else self._learn(target, sample_weight)[0]
        self.schema_, self.target_schema_ = source.schema, targets.schema
        self._check_features(X, reset=True)
        self.condition_ = None if condition is None else Condition.learn(condition)
        if condition is not None and sample_weight is not None:
            condition = np.asarray(condition)[np.asarray(sample_weight) != 0]  # as `_learn` leaves them out
        told = self._told(condition, len(source))
        samples = Samples.gather(source, targets, weight, told[0] if told else None)
        if sample_weight is not None:
            samples.places = torch.from_numpy(np.flatnonzero(np.asarray(sample_weight)))
        samples = samples.split(self._held_out(validation), self.seed_)

        self.loss_, self.prior_ = self._chosen_loss(samples.target), self.prior
        self.corruption_ = self._chosen_corruption(samples)
        self.build_network()
        if samples.validation:
            self._check_range(samples.validation.target)
        return samples

    def _begin_again(self, X, target, condition, sample_weight, validation, keeper) -> Samples:
        """Reads the samples as the model knows them, and builds its network anew, as the parameters are now, with its weights."""
        self._need("decoder")
        if keeper.seed is not None:
            refuse_other_seed(keeper.folder, keeper.seed, self.seed_)
        known = self.network_
        self.loss_ = self.loss_ if is_auto(self.loss) else self.loss
        self.corruption_ = self.corruption_ if is_auto(self.corruption) else self.corruption
        self.prior_ = self.prior_ if self.prior is None else self.prior
        self.course_ = None
        self.build_network()
        go_on_from(known, self.network_)
        samples = self._read_samples(X, target, condition, sample_weight, self._held_out(validation))
        if samples.validation:
            self._check_range(samples.validation.target)
        return samples

    def _take_up(self, keeper) -> None:
        """The seed of the run that is kept; one that was said must be the same."""
        if isinstance(self.random_state, Integral):
            refuse_other_seed(keeper.folder, keeper.seed, self.seed_)
        self.seed_ = keeper.seed

    def _conclude(self, samples: Samples) -> None:
        """What is measured of the codes after training, and remembered of the data."""
        self.code_spread_ = generation.code_spread(self, samples)
        self.reference_ = Reference.learn(self, samples)
        if self.network_.prior is not None:
            generation.fit_own_prior(self, samples)

    def build_network(self) -> None:
        """Makes the untrained `network_` for `schema_`; `load` calls it too, and then fills in the weights."""
        given, size, wanted = self.architecture, *(one.shape[: one.axes] for one in (self.schema_, self.target_schema_))
        choices = Choices(
            architecture=defaults.architecture(self.schema_.kind, size, wanted) if is_auto(given) else given,
            bottleneck=self.bottleneck,
            corruption=self.corruption_,
            loss=self.loss_,
            penalties=self.penalties,
            objective=self.objective,
            prior=self.prior_,
        )
        with torch.random.fork_rng(devices=[]):  # torch's layers draw their first weights from the global generator
            torch.default_generator.manual_seed(self.seed_)
            told = 0 if self.condition_ is None else self.condition_.width
            network = Network(choices, self.schema_, self.target_schema_, self._number_of_components(), told)
        deliberate = bool(several(self.penalties)) or (not is_auto(self.corruption) and bool(several(self.corruption)))
        if self.target_schema_ is self.schema_:
            network.check_room(self.schema_.size, deliberate)
        self.device_, self.dtype_ = chosen_device(self.device), getattr(torch, self.dtype)
        self.network_ = network.to(self.device_, self.dtype_).eval()
        self.code_shape_ = network.code_shape
        whole = None not in network.code_shape
        self.n_components_ = self._n_features_out = math.prod(network.code_shape) if whole else None
        self.block_ = block_size(network)

    def _learn(self, X, sample_weight) -> tuple[Rows, np.ndarray | None]:
        """Rows of `X` under a schema learnt from them, and their weights; samples of weight zero are left out."""
        X, kind = open_data(X, name_of(self.kind), self._room())
        layout = layout_of(X) if kind == "vectors" else None
        X = KINDS[kind].check(X)
        weight = None if sample_weight is None else checked_weight(sample_weight, X.shape[0])
        if weight is not None and not weight.all():
            counts = np.flatnonzero(weight)
            X, weight = taken(X, counts), weight[counts]
        schema = KINDS[kind].learn(X, self.scale, weight, **reading_of(self.kind))
        if isinstance(schema, Vectors):
            schema.layout = layout
        return self._on_device(schema.rows(X)), weight

    def _read(self, X, schema: Schema) -> Rows:
        """Rows of `X`, which must be as the schema says."""
        return self._on_device(schema.read(self._opened(X, schema)))

    def _opened(self, X, schema: Schema):
        """Data of the schema's kind; a path is read as in `fit`."""
        return open_data(X, schema.kind, self._room(), **schema.reading)[0]

    def _on_device(self, rows: Rows) -> Rows:
        """As the network computes: what was chosen when it was built stays, whatever the parameters say now."""
        fitted = hasattr(self, "network_")
        return rows.to(
            self.dtype_ if fitted else getattr(torch, self.dtype), self.device_ if fitted else chosen_device(self.device)
        )

    def _room(self) -> int:
        """Bytes that data may take."""
        if self.kept_room is not None:
            return self.kept_room
        return (self.training or Training()).room(self.device_ if hasattr(self, "network_") else chosen_device(self.device))

    def _check_features(self, X, reset: bool) -> None:
        if self.schema_.kind in ("vectors", "table") and not isinstance(X, str | Path | Tensor | Lazy | ParquetTable):
            validate_data(self, X, reset=reset, skip_check_array=True)  # notes or compares names and number of columns
        elif reset and isinstance(layout := getattr(self.schema_, "layout", None), Layout) and not layout.labels:  # of a file
            self.feature_names_in_ = np.array([cells.name for cells in layout.columns], dtype=object)
            self.n_features_in_ = len(layout.columns)
        elif reset:  # a path or a tensor has no names, and images have no columns
            self.n_features_in_ = self.schema_.size

    def _refuse_no_condition(self, condition) -> None:
        if self.asks_condition and condition is None:
            raise ValueError(
                "This preset learns from samples and their classes, but fit was given no condition. Pass fit(X, condition=y): "
                "y alone is ignored, because a Pipeline hands it to every step."
            )

    def _read_samples(self, X, target, condition, sample_weight, held_out=None) -> Samples:
        """Samples of the form that the model knows, to learn further from."""
        source = self._rows(X)
        if self.target_schema_ is not self.schema_ and target is None:
            raise ValueError("This model was fitted with a target of its own. Pass target= to learn further.")
        targets = source if target is None else self._read(target, self.target_schema_)
        told = self._told(condition, len(source))
        for rows in {id(rows): rows for rows in (source, targets)}.values():
            rows.looked_at()
        self._check_range(targets)
        weight = None if sample_weight is None else checked_weight(sample_weight, len(source))
        samples = Samples.gather(source, targets, weight, told[0] if told else None)
        counted = samples if weight is None or weight.all() else samples.subset(torch.from_numpy(np.flatnonzero(weight)))
        return counted.split(held_out, self.seed_)

    def _held_out(self, validation):
        """What to validate on: the share of X to split off, rows of their own, or None."""
        if validation is None:
            return None if self.patience is None else defaults.HELD_OUT
        if isinstance(validation, Real):
            if not 0 < float(validation) < 1:
                raise ValueError(f"validation={validation!r}: a share of the samples lies between 0 and 1, or pass data.")
            return float(validation)
        if self.condition_ is not None:
            raise ValueError("With a condition, validation is a share of the samples, such as validation=0.1.")
        if self.target_schema_ is self.schema_:
            rows = self._read(validation, self.schema_).looked_at()
            return Samples(rows, rows)
        if not isinstance(validation, tuple) or len(validation) != 2:
            raise ValueError("With a target of its own, validation is a share or a pair (X, target).")
        source, target = self._read(validation[0], self.schema_), self._read(validation[1], self.target_schema_)
        return Samples(source.looked_at(), target.looked_at())

    def _chosen_loss(self, target: Rows):
        low, high = target.schema.scaled_range()
        if is_auto(self.loss):
            return defaults.loss(low, high, target.schema.columns, target.schema.kind)
        loss = loss_part(self.loss)
        loss.build(target.schema)  # which refuses what no scaling would cure
        least, most = getattr(loss, "support", (-math.inf, math.inf))
        if low < least or high > most:
            raise ValueError(
                f"loss={self.loss!r} needs data between {least:g} and {most:g}, but the target ranges from {low:.3g} to "
                f"{high:.3g} as it reaches the network. {getattr(loss, 'cure', 'Scale the data')}, or use loss='squared'."
            )
        return self.loss

    def _chosen_corruption(self, samples: Samples):
        if not is_auto(self.corruption):
            return self.corruption
        if self.schema_.columns is not None:
            return defaults.CORRUPTION_OF_TABLES
        if self.schema_.kind == "interactions":
            return defaults.CORRUPTION_OF_INTERACTIONS
        if self.schema_.tokens:
            return None
        size = self._number_of_components() or self.schema_.size
        return defaults.corruption(samples.weight, size, self.schema_.spread())

    def _number_of_components(self) -> int | None:
        if not is_auto(self.n_components):
            return None if self.n_components is None else int(self.n_components)
        wide = getattr(part_of(self.bottleneck, BOTTLENECKS, "bottleneck"), "wide", False)
        found = defaults.n_components(self.schema_.size, wide)
        return found if wide or self.schema_.columns is None else min(found, max(1, len(self.schema_.columns) - 1))

    def _start(self, samples: Samples) -> None:
        """First weights: Xavier, and a decoder that answers with the mean sample whatever the code."""
        network = self.network_
        initialise(network, key_of(self.seed_, "weights") >> 1)
        mean = samples.target.schema.scaled_mean().to(self.device_, self.dtype_)
        network.architecture.start(network.loss.start(mean))
        self._look(samples)
        prior: Any = network.prior
        if hasattr(prior, "look"):
            prior.look(samples.source.glance())

    def _look(self, samples: Samples) -> None:
        """Corruptions measure what they need to know of the samples."""
        corruptions: Any = self.network_.corruption
        for part in corruptions:
            if hasattr(part, "look"):
                part.look(samples.source.glance())

    def _run(self, samples: Samples, callbacks) -> Run:
        training = self.training or Training()
        batch_size = defaults.batch_size(samples.weight) if is_auto(self.batch_size) else self.batch_size
        rate = training.default_rate * self.network_.architecture.pace
        names = getattr(self, "feature_names_in_", None)
        together = processes(str(self.device))
        together.check(batch_size, len(samples.source))
        return Run(
            samples,
            max_epochs=defaults.max_epochs(len(samples.source), batch_size) if is_auto(self.max_epochs) else self.max_epochs,
            batch_size=batch_size,
            learning_rate=rate if is_auto(self.learning_rate) else self.learning_rate,
            patience=self.patience,
            training=training,
            seed=self.seed_,
            block=self.block_,
            callbacks=tuple(callbacks) if together.is_first else (),
            verbose=self.verbose,
            parts=training.parts(self.network_, batch_size),
            columns=None if names is None else [str(name) for name in names],
            params=params_of(self, training) if callbacks else {},
            processes=together,
        )

    # -------------------------------------------------------------------------------------- use, in arrays

    def transform(self, X, condition=None):
        """Codes of `X`, (n_samples, n_components): deterministic, and the same in whatever company a sample comes."""
        rows = self._rows(X)
        self._refuse_uneven_codes()
        codes = in_blocks(self._code, self.block_, rows, *self._told(condition, len(rows)))
        return self._named(given_back(codes.flatten(1).to(precision_of(rows.values)), X), rows)

    def encode_to(self, path, X, condition=None, overwrite=False, names=None):
        """Writes the codes of `X` to a file block by block: what `transform` gives, of data and codes of any size.

        Parameters
        ----------
        path : file that ends in .npy, in .csv or .parquet, with the names of `get_feature_names_out`, or in .npz: an
            array a sample in its natural shape, which may differ in size. It is there as a whole or not at all.
        X, condition : as for `transform`
        overwrite : bool, default False; whether a file that is there is replaced
        names : list of str, default None; of the samples, as a first column "name" of a .parquet file, or of the arrays in .npz

        >>> model.encode_to(folder / "codes.npy", X)
        >>> bool((np.load(folder / "codes.npy") == model.transform(X)).all())
        True
        """
        from .codes import write_codes

        write_codes(self, Path(path), X, condition, overwrite, names)

    def inverse_transform(self, codes, condition=None):
        """Decodes (n_samples, n_components), as `transform` returns them, into the form the data came in."""
        self._need("decoder")
        as_they_are = isinstance(codes, Tensor) or None in self.code_shape_
        values = codes if as_they_are else check_array(codes, dtype=[np.float64, np.float32], input_name="codes")
        return self._decoded(values, codes, condition)

    def reconstruct(self, X, condition=None, *, missing=None):
        """Encodes and decodes `X`, side paths included; the result has the form of the data (or of the target).

        missing : (n_samples, *shape), True where a value of X is not there, whatever stands in its place; default None
            A transformer leaves patches out of which nothing is there, other networks see zeros, as under `MaskPatches`. For
            samples of one size; the channels may be left away. In tables a missing cell says so itself.
        """
        self._need("decoder")
        X = self._opened(X, self.schema_)  # what is given back takes its form and names from here
        rows = self._rows(X)
        gaps = [] if missing is None else [self._gaps(missing, len(rows))]

        def rebuilt(data, *told):
            data = without(data, told[0]) if gaps else data
            code = self._encoded(data, *told[len(gaps) :])
            return self._written(self.network_.decode(code), precision_of(rows.values), code.length)

        told = [*gaps, *self._told(condition, len(rows))]
        values = in_blocks(rebuilt, self.block_, rows, *told)
        return self.target_schema_.give_back(values, X if rows.names is None else rows.names)

    def impute(self, X, condition=None):
        """`X` with its missing cells, and no others, filled by what the model rebuilds there; for tables."""
        schema = self._table("impute")
        X = self._opened(X, schema)
        return schema.fill(X, self.reconstruct(X, condition))

    def score_cells(self, X, condition=None):
        """Minus the loss of every cell, in nats, (n_samples, columns), judged by the other cells of its row; for tables.

        The cell itself is hidden from the encoder. The lowest are those that surprise: wrong entries are among them. Missing
        cells have 0, and a category that was not there in `fit` has log(1 / (1 + rows of `fit`)).
        """
        schema = self._table("score_cells")
        X = self._opened(X, schema)
        places, rows = schema.places(), self._rows(X)
        told = self._told(condition, len(rows))
        nats = [in_blocks(partial(cell_nats, self.network_, place), self.block_, rows, *told) for place in places]
        scores = -torch.stack(nats, 1).numpy().astype(np.float64)
        scores[schema.unseen(X)] = -math.log1p(int(self.reference_.samples) if self.reference_ else 0)
        return scores

    def score_samples(self, X, target=None, condition=None):
        """Minus the loss of each sample at its deterministic code, in nats, (n_samples,); higher is better."""
        self._need("decoder")
        rows = self._rows(X)
        if self.target_schema_ is not self.schema_ and target is None:
            raise ValueError("This model was fitted with a target of its own. Pass target= to score against.")
        targets = rows if target is None else self._read(target, self.target_schema_)
        self._check_range(targets)
        told = self._told(condition, len(rows))
        return -in_blocks(self.network_.nats, self.block_, rows, targets, *told).numpy().astype(np.float64)

    def score(self, X, y=None):
        """The mean of `score_samples`: minus the mean loss, in nats a sample."""
        return float(self.score_samples(X).mean())

    def compare(self, X, target=None, condition=None) -> Comparison:
        """New data beside the training data: how odd each sample is, and how far each feature has moved; see `apps.check`.

        A model remembers the losses and codes' distances of up to 1024 training samples (of the validation data, where there were
        100 or more), and of every feature the tenths of its values, for this; it remembers no sample. After `partial_fit` these
        are of its last call.

        >>> found = model.compare(X)
        >>> found.oddness.shape, found.shift.shape
        ((100,), (64,))
        """
        self._need("decoder")
        rows, known = self._rows(X), getattr(self, "reference_", None)
        if known is None:
            raise ValueError(
                "This model was saved by a version of isthmus that remembered nothing of the training data, so no data can be "
                "compared with them. Fit it again, and save it."
            )
        targets = rows if target is None and self.target_schema_ is self.schema_ else None
        targets = targets if target is None else self._read(target, self.target_schema_)
        return known.compared(self, rows, targets, self._told(condition, len(rows)))

    # ----------------------------------------------------------------------------------------- new samples

    def sample(self, n=1, *, like=None, spread=1.0, condition=None, random_state=None):
        """New samples, decoded from codes that are drawn.

        Parameters
        ----------
        n : int, default 1; how many, or with `like` how many of each
        like : array like X, default None
            Draw around the codes of these: from their posteriors, or, where there are none, with a tenth of the spread of the
            training codes, half of it where codes are quantised. What is drawn is a code that the bottleneck can give.
        spread : float, default 1.0; with `like`: how many times as far
        condition : one label (or row) for all, or one for each; where the model was fitted with a condition
        random_state : int, RandomState or None, default None

        Returns
        -------
        (n, ...) in the form of the data; with `like`, the n variations of its first row, then those of the second, ...
        """
        self._need("decoder")
        generation.check_arguments(n=n, spread=spread)
        seed = generation.seed_of(random_state)
        if like is None:
            codes = generation.drawn_codes(self, n, seed)
        else:
            generation.check_several(self, like)
            codes = generation.varied_codes(self, like, n, seed, spread, condition)
            alone = condition is None or self.condition_ is None or self.condition_.is_one(condition)
            condition = condition if alone else np.repeat(condition, n, 0)
        return self._decoded(codes, self._like_the_data(), condition)

    def fit_prior(self, prior, X, condition=None):
        """Fits a prior ("normal", "mixture", "autoregressive" or a part) to the codes of `X`, whatever the model is."""
        generation.fit_prior(self, prior, X, condition)
        return self

    def interpolate(self, a, b, steps=8, condition=None):
        """The way from one sample to another through the code, ends included: (steps, ...) in the form of the data.

        Codes of a Gaussian bottleneck move along a great circle, whose points are as far from the origin as codes from the
        prior are; others along the line.

        Parameters
        ----------
        a, b : one sample each, without the axis of samples; of a table, a frame of one row
        steps : int, default 8; 2 or more
        condition : as for `sample`
        """
        self._need("decoder")
        generation.check_arguments(steps=steps)
        both = generation.both_ends(self, a, b)
        told = () if self.condition_ is None else (condition,)
        ends = [torch.as_tensor(self.encode(end, *told)[0]) for end in both]
        if ends[0].shape != ends[1].shape:
            raise ValueError(
                f"The codes of a and b have shapes {tuple(ends[0].shape)} and {tuple(ends[1].shape)}: there is a way between "
                "samples of one size only. Resize or crop one of them."
            )
        spherical = getattr(self.network_.bottleneck, "posterior", False)
        codes = generation.possible(self, generation.between(ends[0], ends[1], steps, spherical))
        return self._decoded(codes, self._like_the_data(), condition)

    def _like_the_data(self) -> np.ndarray:
        """No numbers, in the precision of the data that the model was fitted to."""
        return np.empty(0, np.float64 if self.target_schema_.dtype == "float64" else np.float32)

    def posterior(self, X, condition=None):
        """Mean and standard deviation of every sample's code, (n_samples, n_components) each; for Gaussian bottlenecks."""
        return generation.posterior(self, X, condition)

    def log_likelihood(self, X, n_draws=1000, *, condition=None, random_state=None):
        """log p(x) of every sample in nats, (n_samples,), from `n_draws` draws of its posterior; a lower bound on average.

        log p(x) ~ log 1/n sum_i  p(x | z_i) p(z_i) / q(z_i | x),   z_i ~ q(z | x)      (Burda et al. 2016)
        """
        generation.check_arguments(n_draws=n_draws)
        return generation.log_likelihood(self, X, n_draws, generation.seed_of(random_state), condition)

    def attribute_direction(self, X, has, condition=None):
        """The step in code space, (n_components,), that adds an attribute: mean code of those that have it minus the others'.

        `inverse_transform(codes + direction)` shows the samples with it. `has` : (n_samples,) of True and False.
        """
        has = np.asarray(has)
        if not set(np.unique(has).tolist()) <= {0, 1}:
            raise ValueError(
                f"has must say True or False for each sample, but holds {has.reshape(-1)[:5].tolist()}. Pass y == 3, say."
            )
        has = has.astype(bool)
        codes = np.asarray(self.transform(X) if condition is None else self.transform(X, condition))
        if has.shape != (len(codes),) or has.all() or not has.any():
            raise ValueError(f"has must say True or False for each of the {len(codes)} samples, and both must occur.")
        return codes[has].mean(0) - codes[~has].mean(0)

    # ------------------------------------------------------------------------------------- use, in tensors

    def encode(self, X, condition=None):
        """Codes of `X` in their natural shape, (n_samples, *code_shape_).

        A tensor comes back on its device and carries gradients; anything else gives an array.
        """
        if not isinstance(X, Tensor) or isinstance(self.schema_, Table) or self.schema_.varies:
            rows = self._rows(X)
            codes = in_blocks(self._natural_code, self.block_, rows, *self._told(condition, len(rows)))
            if isinstance(codes, list):
                return [given_back(code.to(precision_of(rows.values)), None) for code in codes]
            return given_back(codes.to(precision_of(rows.values)), X)
        self._need("encoder")
        self.schema_.check_shape(X)
        refuse_non_finite(X.detach())
        values = self.schema_.scaled(X.to(self.device_), self.dtype_).reshape(-1, *self.schema_.shape)
        return self._code(self.schema_.data(values), *(told.values for told in self._told(condition, len(X)))).to(X.device)

    def decode(self, codes, condition=None):
        """Decodes (n_samples, *code_shape_): a tensor into a tensor of floats with gradients, else as `inverse_transform`.

        Where codes differ in size as their samples do, they are a list, as `encode` gives it. A map holds the size of its sample
        only roughly: what is written has the size that its places stand for, such as 16 x 24 for 13 x 18 pixels, and
        sequences end where the decoder says so. `reconstruct` gives every sample its own size.
        """
        self._need("decoder")
        if not isinstance(codes, Tensor):
            return self._decoded(codes if None in self.code_shape_ else as_numbers(codes), codes, condition)
        self._check_codes(codes)
        told = [told.values for told in self._told(condition, len(codes))]
        code = Code(self._natural(codes).to(self.device_, self.dtype_), condition=told[0] if told else None)
        output = self.network_.decode(code)
        return self.target_schema_.form(self.target_schema_.unscaled(self.network_.mean(output))).to(codes.device)

    # ------------------------------------------------------------------------------------------------ rest

    def set_params(self, **params):
        """As in scikit-learn; the parameters of a part, such as architecture__hidden, need the part to be there."""
        for name in params:
            part, _, inner = name.partition("__")
            value = params.get(part, getattr(self, part, None))
            if inner and isinstance(value, str):
                raise ValueError(
                    f"{name} cannot be set: {part}={value!r} is a name, which has no parameters. Pass the part itself, for "
                    f"instance {part}=Dense()."
                )
        return super().set_params(**params)

    def save(self, path, overwrite=False):
        """Writes the folder `path`: config.json, model.safetensors and README.md, a model card; see `load`.

        Of several processes that train together the first writes it, and the others return.
        """
        from .saving import save

        save(self, path, overwrite)

    def _refuse_uneven_codes(self) -> None:
        if None in self.code_shape_:
            raise ValueError(
                f"This model's codes have shape {self.code_shape_} and differ in size as the samples do, so they fill no table. "
                "Use encode(X), which gives a list, or a file .npz (encode_to, isthmus encode -o codes.npz), or fit with "
                "n_components=32, say; pictures must then be of one size."
            )

    def _need(self, half: str) -> None:
        """Refuses what a model that was loaded in part cannot do."""
        check_is_fitted(self, "network_")
        if getattr(self, "loaded_half_", half) != half:
            raise ValueError(f"This needs the {half}, but the model was loaded with only={self.loaded_half_!r}. Load it whole.")

    def _table(self, verb: str) -> Table:
        """The schema, if it is that of a table."""
        self._need("decoder")
        if isinstance(self.schema_, Table) and self.target_schema_ is self.schema_:
            return self.schema_
        raise ValueError(
            f"{verb} is for tables with missing cells, but this model was fitted to {self.schema_.kind}. Fit with kind='table'."
        )

    def _rows(self, X) -> Rows:
        self._need("encoder")
        opened = self._opened(X, self.schema_)
        rows = self._on_device(self.schema_.read(opened))
        self._check_features(X, reset=False)
        if self.schema_.kind == "vectors" and isinstance(X, str | Path | Lazy):
            self._check_columns(layout_of(opened))
        return rows

    def _check_columns(self, layout: Layout | None) -> None:
        """Refuses a file whose columns have other names than in `fit`, or another order; files without names pass."""
        known = getattr(self, "feature_names_in_", None)
        if layout is None or known is None:
            return
        for place, (cells, name) in enumerate(zip(layout.columns, known, strict=True)):
            if cells.name != name:
                raise ValueError(
                    f"Column {place} of the file is {cells.name!r}, but in fit it was {name!r}. Bring the columns into the order "
                    "of feature_names_in_, and rename them where that is what differs."
                )

    def _named(self, codes, rows: Rows):
        """Codes of named samples: in a frame of pandas, where `set_output` asks for one, with the names as the index."""
        asked = getattr(self, "_sklearn_output_config", {}).get("transform") or get_config()["transform_output"]
        return rows.indexed(codes) if asked == "pandas" else codes

    def _encoded(self, data: Data, condition: Tensor | None = None) -> Code:
        return self.network_.encode(data.told(condition))

    def _code(self, data: Data, condition: Tensor | None = None) -> Tensor:
        return self._encoded(data, condition).z

    def _natural_code(self, data: Data, condition: Tensor | None = None) -> Tensor | list[Tensor]:
        """Codes in their natural shape; a list, without the padding, where they differ in size."""
        code = self._encoded(data, condition)
        if None not in self.code_shape_:
            return code.z
        kept = code.extra.get("length")
        return list(code.z) if kept is None else [one[:end] for one, end in zip(code.z, kept.tolist(), strict=True)]

    def _told(self, condition, count: int) -> list[Ready]:
        """Rows of the condition, in a list: none where the model knows no condition."""
        if self.condition_ is None:
            if condition is not None:
                raise ValueError("This model was fitted without a condition. Leave condition= away, or fit with one.")
            return []
        fitted = hasattr(self, "device_")
        device = self.device_ if fitted else chosen_device(self.device)
        return [self.condition_.read(condition, count).to(getattr(torch, self.dtype), device)]

    def _gaps(self, missing, count: int) -> Ready:
        """Rows that are 1 where values are missing, (n_samples, *shape)."""
        schema = self.schema_
        if schema.columns is not None or schema.tokens or schema.varies:
            raise ValueError(
                f"missing= is for numbers in samples of one size, but this model was fitted to {schema.kind}. Of tables, leave "
                "the cells empty."
            )
        missing = tensor_of(missing).bool()
        shape = (count, *schema.shape)
        if missing.shape not in (shape, shape[:-1]):
            raise ValueError(f"missing has shape {tuple(missing.shape)}, but {shape} is expected, or {shape[:-1]}.")
        missing = missing if missing.shape == shape else missing[..., None].expand(shape)
        return Ready(missing).to(self.dtype_, self.device_)

    def _check_range(self, rows: Rows) -> None:
        """Refuses targets that the loss has no likelihood for."""
        least, most = getattr(self.network_.loss, "support", (-math.inf, math.inf))
        low, high = rows.range() if math.isfinite(least) or math.isfinite(most) else (0.0, 0.0)
        if low < least - 0.5 or high > most + 0.5:  # new data may lie a little outside what scaling was learnt from
            raise ValueError(
                f"loss={self.loss!r} compares values between {least:g} and {most:g}, but these range from {low:.3g} to "
                f"{high:.3g} as they reach the network. Scale them as the training data were."
            )

    def _check_codes(self, codes) -> None:
        whole = None not in self.code_shape_
        if not whole and not (codes.ndim == 1 + len(self.code_shape_) and all(map(fits, codes.shape[1:], self.code_shape_))):
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}, but this model's have shape {self.code_shape_} each, where None differs "
                "as the samples do. Pass a list of them, as encode gives it."
            )
        if whole and (codes.ndim < 2 or math.prod(codes.shape[1:]) != self.n_components_):
            raise ValueError(
                f"codes have shape {tuple(codes.shape)}, but this model's are (n_samples, {self.n_components_})"
                + (f" or (n_samples, {', '.join(map(str, self.code_shape_))})." if len(self.code_shape_) > 1 else ".")
            )
        if not len(codes):
            raise ValueError("codes are empty: 0 samples. At least one is needed.")
        bad = ~np.isfinite(as_array(codes).reshape(len(codes), -1)).all(1)
        if bad.any():
            raise ValueError(f"codes contain NaN or infinity, first in code {bad.argmax()}. Leave such codes out.")

    def _decoded(self, values, like, condition=None):
        """Data from codes of either shape, in the container and dtype of `like`."""
        if None in self.code_shape_:
            return self._decoded_maps(values, like, condition)
        self._check_codes(values)
        codes, precision = self._natural(tensor_of(values)), precision_of(values)
        rows = Ready(codes).to(self.dtype_, self.device_)

        def decoded(block, told=None):
            return self._written(self.network_.decode(Code(block, condition=told)), precision)

        longest = self.target_schema_.longest
        size = self.block_ if longest is None else fewer(self.block_, math.prod(self.target_schema_.padded([longest])))
        return self.target_schema_.give_back(in_blocks(decoded, size, rows, *self._told(condition, len(values))), like)

    def _decoded_maps(self, codes, like, condition):
        """Data from codes that differ in size as their samples do; those of one size run together."""
        self._told(condition, len(codes))  # which refuses one
        maps = [tensor_of(code if isinstance(code, Tensor) else as_numbers(code)) for code in codes]
        if not maps:
            raise ValueError("codes are empty: 0 samples. At least one is needed.")
        written: list[Any] = [None] * len(maps)
        for shape in dict.fromkeys(tuple(code.shape) for code in maps):
            places = [place for place, code in enumerate(maps) if tuple(code.shape) == shape]
            some = torch.stack([maps[place].detach() for place in places])
            self._check_codes(some)
            for place, one in zip(places, self._written_maps(some), strict=True):
                written[place] = one
        return self.target_schema_.give_back(written, like)

    def _written_maps(self, codes: Tensor) -> Any:
        """Data from (n, *code_shape) of one size; the larger what is written is, the fewer at once."""

        def decoded(block):
            return self._written(self.network_.decode(Code(block)), precision_of(codes))

        rows = Ready(codes).to(self.dtype_, self.device_)
        with torch.no_grad():
            space = self.network_.decode(Code(rows.values[:1])).shape[1:-1]
        return in_blocks(decoded, fewer(self.block_, math.prod(space), len(space)), rows)

    def _natural(self, codes: Tensor) -> Tensor:
        """Codes of either shape in their natural one."""
        return codes if None in self.code_shape_ else codes.reshape(-1, *self.code_shape_)

    def _written(self, output: Tensor, precision: torch.dtype, length: Tensor | None = None) -> Tensor | list[Tensor]:
        """A reconstruction in the data's form; cast first, for in a narrower type constant columns would be rounded.

        Where sizes vary, a list of samples: as long as `length` says, or else as the decoder does.
        """
        written = self.target_schema_.write(self.network_.mean(output).to(precision))
        if not self.target_schema_.varies:
            return written
        if length is None and hasattr(self.network_.loss, "lengths"):
            length = self.network_.loss.lengths(output)
        return list(written) if length is None else [one[:end] for one, end in zip(written, length.tolist(), strict=True)]

    def __sklearn_clone__(self):
        fresh = super().__sklearn_clone__()
        if self.asks_condition:
            fresh.asks_condition = True
        return fresh

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# --------------------------------------------------------------------------------------------------- helpers


RANGES = {
    "n_components": whole("[1, inf)").also("auto", None),
    "max_epochs": whole("[1, inf)").also("auto"),
    "batch_size": whole("[1, inf)").also("auto"),
    "learning_rate": number("(0, inf)").also("auto"),
    "patience": whole("[1, inf)").also(None),
    "warm_start": flag(),
    "device": Range(lambda value: isinstance(value, str | torch.device), ": 'cpu', 'cuda', 'mps' or 'auto' is expected."),
    "dtype": one_of("float32", "float64"),
    "random_state": Range(
        lambda value: isinstance(value, np.random.RandomState) or whole("[0, 4294967295]").also(None).holds(value),
        ": a whole number in [0, 4294967295] is expected, or a RandomState or None.",
    ),
    "verbose": whole("[0, inf)").also(True, False),
}


def check_parameters(model: Autoencoder) -> None:
    """Refuses constructor parameters out of range, by name, before anything is read or trained."""
    check_ranges(model, RANGES)
    for role in ROLES:
        refuse_misplaced(role, getattr(model, role))
    if isinstance(model.kind, Reading):
        model.kind.check_ranges()
    if model.training is not None and not isinstance(model.training, Training):
        raise TypeError(f"training={model.training!r}: a Training is expected, such as Training(optimizer='adam').")
    (model.training or Training()).check_ranges()


def go_on_from(known: Network, network: Network) -> None:
    """Gives a network the weights of one that is to be trained further, and what its parts have counted."""
    try:
        network.load_state_dict(known.state_dict())
    except RuntimeError as error:
        what = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise ValueError(
            "warm_start=True goes on with the weights of the last fit, but the parameters now describe another network "
            f"({what}). Set those of the network back, or warm_start=False."
        ) from error
    counted = counters_of(network)
    put_counters(network, {path: value for path, value in counters_of(known).items() if path not in counted})


def without(data: Data, gaps: Tensor) -> Data:
    """The samples without the values where `gaps` is 1."""
    return replace(data, values=torch.where(gaps > 0, 0.0, data.values), weight=1 - gaps)


def cell_nats(network: Network, place: slice, data: Data, condition: Tensor | None = None) -> Tensor:
    """The loss, (batch,), of the cells at `place`, which the encoder does not see."""
    assert data.weight is not None
    hidden = data.weight.clone()
    hidden[:, place] = 0
    code = network.encode(Data(data.values, hidden, condition=condition))
    return network.loss.cells(network.decode(code), data)[:, place].sum(1)


def checked_weight(sample_weight, count: int) -> np.ndarray:
    weight = np.asarray(sample_weight, np.float64)
    if weight.shape != (count,) or not np.isfinite(weight).all() or (weight < 0).any() or not weight.sum() > 0:
        raise ValueError(
            f"sample_weight must hold {count} finite numbers of zero or more, not all zero; got shape {weight.shape}."
        )
    return weight


def as_numbers(codes) -> np.ndarray:
    """Codes as an array of floats; refuses text."""
    try:
        values = np.asarray(codes)
        return values if values.dtype.kind == "f" else values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"codes must be numbers, as transform gives them ({error}).") from error


def chosen_device(device: str) -> torch.device:
    if device == "auto":
        return defaults.device()
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"device={device!r} is not there ({first}). Choose 'cpu', 'cuda', 'mps' or 'auto'.") from error
