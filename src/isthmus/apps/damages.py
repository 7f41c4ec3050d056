"""Damages in words, as the command line and `Restorer(damage=...)` spell them: "noise:5-50", "blur:0.8-2.5+noise:2"."""

from collections.abc import Callable

from ..parts import JPEG, Blur, Downscale, Gray, Holes, Logos, MaskPatches, Noise, Part, SaltPepper, Watermark

# By name: what is made of the least and the greatest strength, these where none are given, and what they count.
DAMAGES: dict[str, tuple[Callable[[float, float], list[Part]], tuple[float, float], str]] = {
    "noise": (lambda least, most: [Noise(most / 255, least / 255)], (5, 50), "standard deviation, white being 255"),
    "blur": (lambda least, most: [Blur(least, most)], (0.8, 2.5), "standard deviation in pixels"),
    "jpeg": (lambda least, most: [JPEG(int(least), int(most))], (10, 50), "quality"),
    "downscale": (lambda least, most: [Downscale(most)], (2, 2), "factor"),
    "salt_pepper": (lambda least, most: [SaltPepper(most)], (0.1, 0.1), "share of the pixels"),
    "pixels": (lambda least, most: [MaskPatches(most, patch=1)], (0.5, 0.5), "share of the pixels that are missing"),
    "holes": (lambda least, most: [Holes(int(most), 0.5, told=True)], (2, 2), "holes in a patch"),
    "gray": (lambda least, most: [Gray()], (0, 0), "nothing"),
    "watermark": (lambda least, most: [Watermark(least=least, most=most)], (0.3, 0.7), "opacity of one word"),
    "logos": (lambda least, most: [Logos(least=least, most=most)], (0.3, 0.7), "opacity"),
}


def named(damage) -> list[Part]:
    """The corruptions that a damage stands for: words, a part, or several of them in the order in which they strike.

    >>> named("blur:0.8-2.5+jpeg:20-40")
    [Blur(least=0.8, most=2.5), JPEG(least=20, most=40)]
    """
    if isinstance(damage, list | tuple):
        return [part for one in damage for part in named(one)]
    if isinstance(damage, Part):
        return [damage]
    if not isinstance(damage, str):
        raise TypeError(f"damage={damage!r}: text such as 'noise:25', a corruption of isthmus.parts, or a list is expected.")
    return [part for word in damage.split("+") for part in of_word(word.strip(), damage)]


def of_word(word: str, damage: str) -> list[Part]:
    name, _, strength = word.partition(":")
    if name not in DAMAGES:
        raise ValueError(
            f"damage={damage!r}: {name!r} is not known. Choose {', '.join(DAMAGES)}, with a strength or a range of them where it "
            "is to be another: noise:25, noise:5-50; join several by +, in the order in which they strike."
        )
    make, default, counted = DAMAGES[name]
    if name == "logos" and strength and not strength[0].isdigit():
        return [Logos(strength)]  # the folder they are in
    try:
        ends = [float(end) for end in strength.split("-")] if strength else list(default)
        least, most = (ends * 2)[:2] if len(ends) < 3 else ends
    except ValueError:
        raise ValueError(f"damage={damage!r}: after {name}: a number or two are expected, such as 5-50 ({counted}).") from None
    if least > most:
        raise ValueError(f"damage={damage!r}: {least:g} is above {most:g}. Exchange them.")
    made = make(least, most)
    for part in made:
        part.check_ranges()
    return made


def tells_gaps(parts) -> bool:
    """Whether the network learns where something is missing, so that it can be told at use."""
    return any(isinstance(part, MaskPatches) or (isinstance(part, Holes) and part.told) for part in parts)
