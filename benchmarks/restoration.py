"""Pictures restored: noise, documents, holes, watermarks, blur, colours, and one mark over a film.

Every network is trained in the row's own run, on other pictures than it is judged by, for so many minutes as the row says (one
process, as many threads as torch takes; --quick: a few steps on few pictures; --validate: a fifth of the time); the classic
methods see the same damaged pictures. What of them has a setting is tuned on the training pictures, or, where "best tuned" is
said, on the very test pictures. PSNR in dB of the mean squared error of each picture, averaged over pictures; white is 1.

BSD68: grey, noise of 25 of 255 added to floats without cutting it off, trained on BSD400; "blind": one network for 5 to 50.
Digits: MNIST. NoisyOffice: 72 pages, 18 clean ones with four kinds of dirt each; the pages of 12 to learn from, of 6 to judge;
the goal for the root mean squared error is a quarter of the noisy pages'. Holes in digits: in the hole alone. Watermarks: one
of 15 logos that no network has seen, 96 pixels wide, at a place and opacity (0.3 to 0.7) drawn by chance on each picture of
BSD68; within the mark, of its pixels with an opacity above 0.02; "outside": the largest change there, of 255. One mark: a
window of 160 x 208 pixels that wanders over a film of a fixed camera, a logo of half opacity at its middle. Blur: of 1.6
pixels, and noise of 2.
Colours: faces of 64 x 64, chroma in YCbCr, mean absolute error of 255.
BM3D is measured where bm3d is installed (its licence is for non-commercial use, so no extra names it), NLM, TV and Telea where
scikit-image and OpenCV are ("bench").
"""

import io
import re
import warnings
import zipfile
from functools import cache

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter, median_filter
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestNeighbors

from isthmus.apps import Restorer, find_mark, without_mark
from isthmus.apps.fill import smooth_fill
from isthmus.apps.measures import psnr
from isthmus.data.films import Film
from isthmus.parts import Data, Holes, Logos, MaskPatches, Noise, Random

from .data import checksum, digits_of, file
from .record import Row, Watch, chosen

SEEDS = 1
HASTE = 5  # with --validate
PUBLISHED = {"BM3D": 28.57, "DnCNN": 29.23}  # sigma 25 on BSD68; Zhang et al. 2017, "Beyond a Gaussian denoiser"
LUMA = np.array([0.299, 0.587, 0.114])


def rows(options):
    parts = chosen(options, photographs, digits, documents, holes, watermarks, one_mark, blurred, colours)
    for seed in options.seeds:
        for part in parts:
            yield from part(options, seed)


# --------------------------------------------------------------------------------------------------------- noise


def photographs(options, seed: int):
    train, test = photos("bsd400-gray-180"), judged_photos(options)
    noisy = [x / 255 + 25 / 255 * np.random.default_rng(i).normal(size=x.shape) for i, x in enumerate(test)]
    beside = {"noisy": mean_psnr(noisy, test), "NLM": of_each(nlm, noisy, test, 25 / 255), "TV": best_tv(noisy, test)}
    bm3d = of_each(by_bm3d, noisy[:3] if options.quick else noisy, test, 25 / 255)
    known = {name: value for name, value in (beside | {"BM3D": bm3d}).items() if value is not None}
    data = {"BSD400": checksum(*train[:50]), "BSD68": checksum(*test)}
    goals = {15: 28.3, 60: 28.57}
    for minutes, damage, name in ((15, "noise:25", "sigma 25"), (60, "noise:25", "sigma 25"), (30, "noise:5-50", "blind")):
        restorer, cost = trained(options, train, minutes, seed, damage=damage)
        value = mean_psnr(restorer.restore(noisy), test)
        least = max(goals[minutes], known.get("NLM", 0) + 0.5) if name != "blind" else None
        yield Row(
            f"BSD68 grey, {name}, {minutes} min", value, "dB", {} if least is None else {"at_least": least}, known, PUBLISHED,
            settings=told(restorer), seed=seed, data=data, cost=cost,
        )  # fmt: skip
        if name == "blind":
            yield from strengths(restorer, test, minutes, seed, data, cost)


def strengths(restorer, test, minutes: int, seed: int, data, cost):
    """The blind network at other strengths than 25."""
    for std, published in ((15, {"BM3D": 31.08, "DnCNN-B": 31.61}), (50, {"BM3D": 25.62, "DnCNN-B": 26.23})):
        noisy = [x / 255 + std / 255 * np.random.default_rng(i).normal(size=x.shape) for i, x in enumerate(test)]
        value = mean_psnr(restorer.restore(noisy), test)
        yield Row(f"BSD68 grey, blind, sigma {std}, {minutes} min", value, "dB", {}, {"noisy": mean_psnr(noisy, test)}, published,
                  settings=told(restorer), seed=seed, data=data, cost=cost)  # fmt: skip


def digits(options, seed: int):
    """Digits with noise of half of white: supervised, and from noisy digits alone."""
    train, test = pictures_of_digits(options)
    noisy, noisy_train = with_noise(test, 0.5, 1), with_noise(train, 0.5, 2)
    some = slice(0, 50 if options.quick else 1000)
    beside = {"noisy": each_psnr(noisy, test), "PCA-Wiener": each_psnr(wiener_pca(noisy_train, noisy, 0.5), test)}
    bm3d = of_each(by_bm3d, list(noisy[some]), list(255 * test[some]), 0.5)
    beside |= {} if bm3d is None else {"BM3D, 1,000 of them": bm3d}
    restorer, cost = trained(options, train, 10, seed, damage=[Noise(0.5)])
    value = each_psnr(restorer.restore(noisy), test)
    least = max(beside["PCA-Wiener"] + 1.5, *([] if bm3d is None else [bm3d + 3]), 0)
    facts = {"seed": seed, "data": {"MNIST": checksum(train, test)}}
    yield Row("digits, sigma 0.5", value, "dB", {"at_least": least}, beside, settings=told(restorer), cost=cost, **facts)
    for way, name in (("gaussian", "from noisy digits alone"), ("blind_spot", "from noisy digits alone, by blind spots")):
        blind, cost = trained(options, noisy_train, 10, seed, self_supervised=way)
        alone = each_psnr(blind.restore(noisy), test)
        yield Row(f"digits, sigma 0.5, {name}", alone, "dB", {"at_least": value - 1}, beside | {"supervised": value},
                  settings=told(blind), cost=cost, **facts)  # fmt: skip


def documents(options, seed: int):
    """Dirty pages, split by the clean pages, so that no text is known."""
    noisy, clean = pages()
    scene = np.unique([page.tobytes() for page in clean], return_inverse=True)[1]
    first = scene < (12 if not options.validate else 9)
    judged = scene >= 12 if not options.validate else (scene >= 9) & (scene < 12)
    train, test = np.flatnonzero(first), np.flatnonzero(judged)
    test = test[:4] if options.quick else test
    restorer, cost = trained(options, [noisy[i] for i in train], 10, seed, target=[clean[i] for i in train])
    error = lambda found: float(np.mean([rmse(found[i], clean[i]) for i in test]))  # noqa: E731
    found = dict(zip(test.tolist(), restorer.restore([noisy[i] for i in test]), strict=True))
    median = {i: np.clip(255 + noisy[i].astype(float) - median_filter(noisy[i], 41), 0, 255).astype(np.uint8) for i in test}
    beside = {"noisy": error(noisy), "median background taken away": error(median)}
    goal = {"at_most": min(beside["noisy"] / 4, beside["median background taken away"])}
    yield Row("NoisyOffice: RMSE", error(found), "of white", goal, beside, settings=told(restorer), seed=seed,
              data={"NoisyOffice": checksum(*noisy, *clean)}, cost=cost)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- holes


def holes(options, seed: int):
    train, test = pictures_of_digits(options)
    test = test[: 50 if options.quick else 2000]
    random = np.random.default_rng(3)
    block = np.zeros(test.shape, bool)
    block[:, 7:21, 7:21] = True
    for name, mask, damage in (
        ("centre block of 14 x 14", block, [Holes(1, 0.65, told=True)]),
        ("half of the pixels", random.random(test.shape) < 0.5, [MaskPatches(0.5, patch=1)]),
    ):
        restorer, cost = trained(options, train, 10, seed, damage=damage)
        value = hole_psnr(restorer.restore(np.where(mask, 0, test).astype(np.float32), mask), test, mask)
        beside = {
            "gappy PCA": hole_psnr(gappy_pca(train, test, mask), test, mask),
            "soap film": hole_psnr(np.stack([smooth_fill(x, m) for x, m in zip(test, mask, strict=True)]), test, mask),
        }
        telea = by_telea(test, mask)
        biharmonic = by_biharmonic(test[:200], mask[:200])
        beside |= {} if telea is None else {"Telea": hole_psnr(telea, test, mask)}
        beside |= {} if biharmonic is None else {"biharmonic, 200 of them": hole_psnr(biharmonic, test[:200], mask[:200])}
        least = max(beside["gappy PCA"] + 1.5, beside.get("Telea", 0) + 4)
        yield Row(f"digits, {name} missing", value, "dB", {"at_least": least}, beside, settings=told(restorer), seed=seed,
                  data={"MNIST": checksum(train, test)}, cost=cost)  # fmt: skip


# --------------------------------------------------------------------------------------------------------- marks


def watermarks(options, seed: int):
    folders = logo_folders()
    for name, train, test in (
        ("grey", photos("bsd400-gray-180"), judged_photos(options)),
        ("colour", *colour_photos(options)),
    ):
        damage = [Logos(folders[0], 1, 48, 144, 0.25, 0.75)]
        restorer, cost = trained(options, train, 20, seed, damage=damage, patch=96)
        marked, covers = zip(*(watermarked(picture, folders[1], i) for i, picture in enumerate(test)), strict=True)
        masks = [cover > 0.02 for cover in covers]
        restored = restorer.restore(list(marked))
        within = lambda found: float(np.mean([psnr(f, t, m) for f, t, m in zip(found, test, masks, strict=True)]))  # noqa: E731,B023
        outside = max(
            int(np.abs(found.astype(int) - seen)[cover == 0].max())
            for found, seen, cover in zip(restored, marked, covers, strict=True)
        )
        beside = {"marked": within(marked)}
        telea = [by_telea_of_bytes(picture, mask) for picture, mask in zip(marked, masks, strict=True)]
        beside |= {} if telea[0] is None else {"Telea, told the mask": within(telea)}
        least = max(beside["marked"] + 6, beside.get("Telea, told the mask", 0) + 3)
        yield Row(
            f"watermarks of unknown place, {name}: within the mark", within(restored), "dB", {"at_least": least}, beside,
            also={"outside, of 255": outside}, settings=told(restorer), seed=seed, data={"photographs": checksum(*test)},
            cost=cost,
        )  # fmt: skip
        yield Row(f"watermarks of unknown place, {name}: outside", float(outside), "of 255", {"at_most": 0.0}, seed=seed,
                  settings=told(restorer), data={"photographs": checksum(*test)}, cost=cost)  # fmt: skip


def one_mark(options, seed: int):
    """A logo over a window that wanders over a film: nothing is trained."""
    path = file("video/car-detection.mp4")
    film, count, height, width = Film(path), 60 if options.quick else 240, 160, 208
    time = np.arange(count)
    top = ((film.shape[0] - height) * (0.5 + 0.45 * np.sin(2 * np.pi * time / 37))).astype(int)
    left = ((film.shape[1] - width) * (0.5 + 0.45 * np.sin(2 * np.pi * time / 91 + 1))).astype(int)
    frames = (film.pixels(frame) for _, frame in film.decoded(0, count))
    clean = np.stack([x[a : a + height, b : b + width] for x, a, b in zip(frames, top, left, strict=True)])
    qualities, flickers, inputs = [], [], []
    with Watch() as watch:
        for logo in logos("unseen")[: 2 if options.quick else 15]:
            laid = np.zeros((height, width, 4))
            laid[44:116, 68:140] = np.asarray(logo.resize((72, 72), Image.Resampling.BOX)) / 255
            cover = 0.5 * laid[..., 3]
            marked = (clean * (1 - cover[..., None]) + 255 * cover[..., None] * laid[..., :3]).round().astype(np.uint8)
            restored = np.stack(list(without_mark(marked, find_mark(marked))))
            mask = np.broadcast_to(cover > 0.02, clean.shape[:3])
            qualities.append(psnr(restored, clean, mask))
            inputs.append(psnr(marked, clean, mask))
            flickers.append(flicker(restored, mask[0]) / flicker(clean, mask[0]))
    facts = {"seed": seed, "data": {"car-detection": checksum(clean)}, "cost": watch.cost()}
    facts["settings"] = {"frames": count, "logos": len(qualities), "opacity": 0.5}
    also = {"least": min(qualities), "worst frame difference, of the clean one": max(flickers, key=lambda x: abs(x - 1))}
    yield Row("one mark over a film", float(np.mean(qualities)), "dB", {"at_least": 35.0}, {"marked": float(np.mean(inputs))},
              also=also, **facts)  # fmt: skip
    away = float(np.mean(np.abs(np.array(flickers) - 1)))
    yield Row("one mark over a film: frame difference", away, "away from the clean one's", {"at_most": 0.05}, **facts)


# ----------------------------------------------------------------------------------------------------- blur, colour


def blurred(options, seed: int):
    train, test = photos("bsd400-gray-180"), judged_photos(options)
    dull = [gaussian_filter(x / 255, 1.6, mode="mirror") for x in test]
    dull = [x + 2 / 255 * np.random.default_rng(i).normal(size=x.shape) for i, x in enumerate(dull)]
    restorer, cost = trained(options, train, 20, seed, damage="blur:1.6+noise:2")
    value = mean_psnr(restorer.restore(dull), test)
    beside = {"blurred": mean_psnr(dull, test)}
    beside["Wiener, best tuned"] = max(
        mean_psnr([wiener(x, 1.6, balance) for x in dull], test)
        for balance in np.geomspace(1e-4, 0.1, 4 if options.quick else 10)
    )
    steps = (5, 10) if options.quick else (5, 10, 15, 20, 30, 40)
    beside["Richardson-Lucy, best tuned"] = max(best_of_steps(dull, test, steps).values())
    least = max(value for name, value in beside.items() if "tuned" in name) + 1
    yield Row("BSD68, blur of 1.6 and noise of 2", value, "dB", {"at_least": least}, beside, settings=told(restorer), seed=seed,
              data={"BSD68": checksum(*test)}, cost=cost)  # fmt: skip


def colours(options, seed: int):
    """Chroma of faces of persons that were not seen."""
    train, test = faces(options)
    restorer, cost = trained(options, train, 10, seed, damage="gray")
    grey_train, grey = (np.rint(x @ LUMA).astype(np.uint8) for x in (train, test))
    chroma = lambda x: np.stack([x[..., 0] - x @ LUMA, x[..., 2] - x @ LUMA], -1) / np.array([1.402, 1.772])  # noqa: E731
    true, known = chroma(test.astype(float)), chroma(train.astype(float))
    error = lambda found: float(np.abs(found - true).mean())  # noqa: E731
    small = lambda x: x[:, ::2, ::2].reshape(len(x), -1).astype(np.float32)  # noqa: E731
    near = NearestNeighbors(n_neighbors=1).fit(small(grey_train)).kneighbors(small(grey))[1][:, 0]
    linear = Ridge(1e4).fit(small(grey_train), known[:, ::2, ::2].reshape(len(known), -1).astype(np.float32))
    guess = linear.predict(small(grey)).reshape(len(grey), 32, 32, 2).repeat(2, 1).repeat(2, 2)
    beside = {"left grey": error(0 * true), "nearest neighbour": error(known[near]), "linear regression": error(guess)}
    value = error(chroma(restorer.restore(grey).astype(float)))
    yield Row("colouring faces: chroma, mean absolute error", value, "of 255", {"at_most": min(beside.values())}, beside,
              settings=told(restorer), seed=seed, data={"CelebA": checksum(test)}, cost=cost)  # fmt: skip


# ------------------------------------------------------------------------------------------------------- training


def trained(options, pictures, minutes: float, seed: int, target=None, **settings):
    """A restorer that has learnt for so many minutes, and what that took."""
    if options.quick:
        pictures, target = (x if x is None else x[:40] for x in (pictures, target))
    with Watch() as watch, warnings.catch_warnings(action="ignore"):
        minutes = 0.05 if options.quick else minutes / HASTE if options.validate else minutes
        restorer = Restorer(minutes=minutes, random_state=seed, **settings).fit(pictures, target=target)
    return restorer, watch.cost()


def told(restorer) -> dict:
    model = re.sub(r"folder='[^']*'", "folder='logos'", repr(restorer.model_))  # where they lay says nothing
    return {"model": model, "patch": restorer.patch, "epochs": restorer.model_.n_iter_}


# ----------------------------------------------------------------------------------------------------- the pictures


@cache
def photos(name: str) -> list[np.ndarray]:
    with zipfile.ZipFile(file(f"photos/{name}.zip")) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".png"))
        return [np.asarray(Image.open(io.BytesIO(packed.read(name)))) for name in names]


def judged_photos(options) -> list[np.ndarray]:
    """BSD68; with --validate the 256-pixel pictures of Set12 stand in for them."""
    if options.validate:
        return [picture for picture in photos("set12-gray") if len(picture) == 256]
    return photos("bsd68-gray")[: 2 if options.quick else None]


def colour_photos(options) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """48 of the 68 coloured scenes to learn from, and the other 20."""
    every = photos("cbsd68-color")
    train, test = every[:48], every[48:]
    if options.validate:
        train, test = train[:38], train[38:]
    return train, test[: 2 if options.quick else None]


def pictures_of_digits(options) -> tuple[np.ndarray, np.ndarray]:
    (train, _), (test, _) = digits_of(options)
    return train.reshape(-1, 28, 28), test.reshape(-1, 28, 28)


@cache
def pages() -> tuple[list[np.ndarray], list[np.ndarray]]:
    with zipfile.ZipFile(file("documents/noisy-office-pairs-72.zip")) as packed:
        names = sorted(name for name in packed.namelist() if "/clean/" in f"/{name}" and name.endswith(".png"))
        read = lambda name: np.asarray(Image.open(io.BytesIO(packed.read(name))).convert("L"))  # noqa: E731
        return [read(name.replace("clean/", "noisy/")) for name in names], [read(name) for name in names]


@cache
def logos(part: str) -> list[Image.Image]:
    """45 logos to learn from, or the 15 unseen ones: every fourth by name."""
    with zipfile.ZipFile(file("logos/logos-60.zip")) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".png"))
        kept = names[3::4] if part == "unseen" else [name for i, name in enumerate(names) if i % 4 != 3]
        return [Image.open(io.BytesIO(packed.read(name))).convert("RGBA") for name in kept]


@cache
def logo_folders() -> tuple[str, str]:
    """Both parts as folders, which last as long as the process."""
    import atexit
    import shutil
    import tempfile
    from pathlib import Path

    folders = []
    for part in ("seen", "unseen"):
        folder = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for number, logo in enumerate(logos(part)):
            logo.save(folder / f"{number:02d}.png")
        folders.append(str(folder))
    return folders[0], folders[1]


def faces(options) -> tuple[np.ndarray, np.ndarray]:
    """Faces of 64 x 64 of 700 persons to learn from, and of 100 others."""
    with zipfile.ZipFile(file("faces/celeba-4000.zip")) as packed:
        names = sorted(name for name in packed.namelist() if name.endswith(".jpg"))
        persons = np.array([int(name.rpartition("/")[2].split("_")[0]) for name in names])
        last = np.unique(persons)[-100:]
        stands_in = np.unique(persons)[-200:-100] if options.validate else last
        read = lambda name: np.asarray(Image.open(io.BytesIO(packed.read(name))).crop((0, 20, 178, 198)).resize((64, 64)))  # noqa: E731
        chosen = [np.flatnonzero(~np.isin(persons, [*last, *stands_in])), np.flatnonzero(np.isin(persons, stands_in))]
        chosen = [part[:60] for part in chosen] if options.quick else chosen
        return tuple(np.stack([read(names[i]) for i in part]) for part in chosen)


def watermarked(picture: np.ndarray, folder: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture with one logo, and the logo's opacity (height, width)."""
    part = Logos(folder, 1, 96, 96, 0.3, 0.7)
    values = torch.from_numpy(picture.reshape(1, *picture.shape[:2], -1) / 255).float()
    laid = [part(Data(x), Random(0, "mark", 1, torch.tensor([number]))).values[0] for x in (values, 0 * values, 0 * values + 1)]
    marked = (laid[0] * 255).round().clamp(0, 255).numpy().astype(np.uint8).reshape(picture.shape)
    return marked, (1 - (laid[2] - laid[1])).mean(-1).numpy()


# ---------------------------------------------------------------------------------------------------- the measures


def mean_psnr(found, clean) -> float:
    return float(np.mean([psnr(x, y / 255) for x, y in zip(found, clean, strict=False)]))


def each_psnr(found: np.ndarray, clean: np.ndarray) -> float:
    return float(np.mean(-10 * np.log10(np.square(found.astype(np.float64) - clean).mean((1, 2)))))


def hole_psnr(found: np.ndarray, clean: np.ndarray, mask: np.ndarray) -> float:
    """Of the mean squared error of all hidden pixels: single holes may be empty, and filled without any error."""
    return float(-10 * np.log10(np.square(found.astype(np.float64) - clean)[mask].mean()))


def rmse(found: np.ndarray, clean: np.ndarray) -> float:
    return float(np.sqrt(np.square(found / 255 - clean / 255).mean()))


def flicker(frames: np.ndarray, mask: np.ndarray) -> float:
    return float(np.abs(np.diff(frames.astype(float), axis=0))[:, mask].mean())


def with_noise(pictures: np.ndarray, std: float, seed: int) -> np.ndarray:
    return (pictures + std * np.random.default_rng(seed).normal(size=pictures.shape)).astype(np.float32)


def of_each(method, noisy, clean, std: float) -> float | None:
    """The mean figure of a method that may not be installed."""
    found = []
    for picture in noisy:
        restored = method(np.asarray(picture, np.float64), std)
        if restored is None:
            return None
        found.append(restored)
    return mean_psnr(found, clean)


# --------------------------------------------------------------------------------------------- the classic methods


def nlm(picture: np.ndarray, std: float):
    """Non-local means (Buades et al. 2005), at the settings its authors give for this much noise."""
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError:
        return None
    return denoise_nl_means(picture, patch_size=5, patch_distance=10, h=0.6 * std, sigma=std, fast_mode=True)


def best_tv(noisy, clean) -> float | None:
    """Total variation (Rudin et al. 1992) with the best of several weights on these very pictures."""
    try:
        from skimage.restoration import denoise_tv_chambolle
    except ImportError:
        return None
    weights = (0.06, 0.08, 0.1, 0.12)
    return max(mean_psnr([denoise_tv_chambolle(x, weight=weight) for x in noisy], clean) for weight in weights)


def by_bm3d(picture: np.ndarray, std: float):
    """Block-matching and 3D filtering (Dabov et al. 2007)."""
    try:
        import bm3d
    except ImportError:
        return None
    return bm3d.bm3d(picture, std)


def wiener_pca(train: np.ndarray, noisy: np.ndarray, std: float) -> np.ndarray:
    """Every principal component of noisy digits shrunk by its share of signal, (v - std^2) / v."""
    pca = PCA(svd_solver="full").fit(train.reshape(len(train), -1))
    shrunk = np.clip(1 - std**2 / pca.explained_variance_, 0, 1)
    return pca.inverse_transform(pca.transform(noisy.reshape(len(noisy), -1)) * shrunk).reshape(noisy.shape)


def gappy_pca(train: np.ndarray, test: np.ndarray, mask: np.ndarray, components: int = 60) -> np.ndarray:
    """Components fitted to the pixels that are there, by ridge regression (Everson & Sirovich 1995)."""
    pca = PCA(components, svd_solver="full").fit(train.reshape(len(train), -1))
    prior, noise = pca.explained_variance_, pca.noise_variance_
    out = test.copy()
    for i, (x, gone) in enumerate(zip(test.reshape(len(test), -1), mask.reshape(len(mask), -1), strict=True)):
        basis = pca.components_[:, ~gone]
        code = np.linalg.solve(basis @ basis.T + np.diag(noise / prior), basis @ (x - pca.mean_)[~gone])
        out[i].reshape(-1)[gone] = (pca.mean_ + code @ pca.components_)[gone]
    return out


def by_telea(pictures: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Fast marching (Telea 2004), on floats in [0, 1]."""
    found = [by_telea_of_bytes((255 * x).round().astype(np.uint8), m) for x, m in zip(pictures, mask, strict=True)]
    return None if found[0] is None else np.stack(found) / 255


def by_telea_of_bytes(picture: np.ndarray, mask: np.ndarray):
    try:
        import cv2
    except ImportError:
        return None
    return cv2.inpaint(np.ascontiguousarray(picture), mask.astype(np.uint8), 3, cv2.INPAINT_TELEA)


def by_biharmonic(pictures: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError:
        return None
    return np.stack([inpaint_biharmonic(x, m) for x, m in zip(pictures, mask, strict=True)])


def transfer(shape, std: float) -> np.ndarray:
    """What a Gaussian blur multiplies each frequency by."""
    return np.exp(-2 * (np.pi * std) ** 2 * (np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1]) ** 2))


def mirrored(picture: np.ndarray) -> np.ndarray:
    """Four copies, each the mirror of its neighbours, so that Fourier transforms see no edge."""
    rows = np.concatenate([picture, picture[::-1]])
    return np.concatenate([rows, rows[:, ::-1]], 1)


def wiener(picture: np.ndarray, std: float, balance: float) -> np.ndarray:
    """Each frequency divided by what blur left of it, as far as noise allows: H / (H^2 + balance (4 - 2 cos - 2 cos)^2)."""
    wide = mirrored(picture)
    kept = transfer(wide.shape, std)
    rough = (
        4
        - 2 * np.cos(2 * np.pi * np.fft.fftfreq(wide.shape[0]))[:, None]
        - 2 * np.cos(2 * np.pi * np.fft.rfftfreq(wide.shape[1]))
    )
    found = np.fft.irfft2(np.fft.rfft2(wide) * kept / (kept**2 + balance * rough), wide.shape)
    return found[: picture.shape[0], : picture.shape[1]]


def best_of_steps(dull, clean, steps) -> dict[int, float]:
    """Richardson-Lucy (1972, 1974) after so many steps each."""
    found: dict[int, list] = {step: [] for step in steps}
    for picture, truth in zip(dull, clean, strict=True):
        wide = np.maximum(mirrored(picture), 1e-3)
        kept, guess = transfer(wide.shape, 1.6), wide.copy()
        blur = lambda x: np.fft.irfft2(np.fft.rfft2(x) * kept, wide.shape)  # noqa: E731,B023
        for step in range(1, max(steps) + 1):
            guess = guess * blur(wide / np.maximum(blur(guess), 1e-3))
            if step in found:
                found[step].append(psnr(guess[: picture.shape[0], : picture.shape[1]], truth / 255))
    return {step: float(np.mean(values)) for step, values in found.items()}
