"""Films in files: frames by number, decoded by PyAV from the nearest key frame on, and written as .mp4."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg")
_SOUNDS = ("aac", "mp3", "mp3float", "ac3", "alac")  # that .mp4 holds as they are
_MADE_HERE = "written by isthmus"  # noted in every film that is written, so that those alone are replaced


class Film:
    """The frames of one film, in the order in which they are shown.

    path : Path;   rate : frames a second, a Fraction;   shape : of a frame, (height, width, channels);   len : how many
    filmed : (height, width) in the file
    Frames are uint8: three channels, one where the film is grey; upright, as the film says, and resized where a `size`
    (height, width) is given. Opening reads the table of frames and decodes one of them.
    """

    container: Any
    stream: Any
    frames: Any
    frame: Any

    def __init__(self, path, size: tuple[int, int] | None = None):
        self.path, self.size = Path(path), size
        self.container = self.stream = self.frames = self.frame = None  # what is open, and the last frame
        self.next, self.late = 0, False  # the frame that the decoder gives next, and whether it may have gone past it
        self.rate, self.times, self.keys = index_of(self.path)
        _, first = next(self.decoded(0, 1))
        self.shape = self.pixels(first).shape
        lies = round(first.rotation / 90) % 2
        self.filmed = (first.width, first.height) if lies else (first.height, first.width)

    def __len__(self) -> int:
        return len(self.times)

    def decoded(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Numbers and frames up to `stop`, from `start` or from a little before, where that is where decoding can begin."""
        key = int(self.keys[np.searchsorted(self.keys, start, "right") - 1])
        if self.stream is None or not key <= self.next <= start:
            self._go_to(key)
        while self.next < stop:
            place = self._advance()
            if place is None:
                continue
            frame, self.next = self.frame, place + 1
            yield place, frame

    def pixels(self, frame) -> np.ndarray:
        """(height, width, channels) uint8."""
        grey = frame.format.name.startswith("gray")
        turns = round(frame.rotation / 90) % 4
        if self.size is not None:
            height, width = self.size if turns % 2 == 0 else self.size[::-1]
            frame = frame.reformat(width=width, height=height, interpolation="AREA")
        pixels = frame.to_ndarray(format="gray" if grey else "rgb24")
        pixels = pixels[..., None] if grey else pixels
        return np.rot90(pixels, turns) if turns else pixels

    def close(self) -> None:
        """Lets go of the open file; the next reading opens it again."""
        if self.container is not None:
            self.container.close()
        self.container = self.stream = self.frames = self.frame = None

    def _go_to(self, key: int) -> None:
        """To the key frame with this number, or where its place is not found to the beginning."""
        if self.stream is None:
            self.container = needed_av(self.path).open(str(self.path))
            self.stream = self.container.streams.video[0]
            self.stream.thread_type = "AUTO"
        self.container.seek(int(self.times[key]), stream=self.stream, backward=True)
        self.frames, self.next, self.late = self.container.decode(self.stream), key, key > 0

    def _advance(self) -> int | None:
        """Decodes one frame; its number, or None where it is one that was not asked for."""
        try:
            self.frame = next(self.frames, None)
        except needed_av(self.path).FFmpegError as error:
            raise ValueError(f"{self.path} cannot be decoded after frame {self.next} ({error}). {_CURE}") from error
        if self.frame is None:
            raise ValueError(f"{self.path} is cut off or damaged: {self.next} of {len(self)} frames can be decoded. {_CURE}")
        time = time_of(self.frame)
        place = int(np.searchsorted(self.times, -1 if time is None else time))
        if place < self.next:  # of the group before: seeking went further back, or these frames are shown before their key frame
            return None
        if place > self.next and self.late:
            self.close()
            self._go_to(0)
            return None
        self.late = False
        if place != self.next or self.times[place] != time or self.frame.is_corrupt:
            raise ValueError(f"Frame {self.next} of {self.path} is damaged: it cannot be decoded. {_CURE}")
        return place

    def __getstate__(self):
        unopened = {"container": None, "stream": None, "frames": None, "frame": None}
        return vars(self) | unopened

    def __del__(self):
        if "container" in vars(self):
            self.close()


_CURE = "Copy the film again, or make one of what is left: ffmpeg -i OLD NEW.mp4."


def index_of(path: Path) -> tuple[Fraction, np.ndarray, np.ndarray]:
    """Frames a second, when each frame is shown in the film's own unit of time, and which can be decoded by themselves."""
    with opened(path) as container:
        stream = container.streams.video[0]
        packets, rate = [], stream.average_rate or stream.guessed_rate
        try:
            packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_corrupt]
        except needed_av(path).FFmpegError:
            pass  # the end, where none should be: fewer frames are found than expected
        expected = max(stream.frames, frames_of_duration(stream, rate))
        shown = [(time_of(packet), packet.is_keyframe) for packet in packets if not packet.is_discard]
    if len(packets) < expected:
        raise ValueError(f"{path} is cut off or damaged: it holds {len(packets)} of {expected} frames. {_CURE}")
    times = np.array(sorted(time for time, _ in shown if time is not None), np.int64)
    if not len(times) or len(times) < len(shown) or (np.diff(times) == 0).any():
        raise ValueError(f"{path} does not say when its frames are shown. Convert it: ffmpeg -i {path.name} NEW.mp4.")
    keys = np.searchsorted(times, sorted(time for time, key in shown if key and time is not None))
    return Fraction(rate), times, np.union1d(keys, [0])


def frames_of_duration(stream, rate) -> int:
    """How many frames there should be where the film says only how long it is, less one for rounding; else 0."""
    said = stream.metadata.get("DURATION", "") if not stream.frames else ""
    hours, _, rest = said.partition(":")
    minutes, _, seconds = rest.partition(":")
    return int((3600 * int(hours) + 60 * int(minutes) + float(seconds)) * rate) - 1 if seconds else 0


def time_of(packet) -> int | None:
    return packet.pts if packet.pts is not None else packet.dts


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The film, open for reading."""
    av = needed_av(path)
    try:
        container = av.open(str(path))
    except av.FFmpegError as error:
        raise ValueError(
            f"{path} is no film that can be read ({error.strerror or error}); a copy that was broken off lacks its table of "
            f"frames. {_CURE}"
        ) from error
    with container:
        if not container.streams.video:
            raise ValueError(f"{path} holds no pictures, only {', '.join(s.type for s in container.streams) or 'nothing'}.")
        yield container


def needed_av(path) -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(f"{path} is a film, which needs PyAV: pip install 'isthmus[video]'") from error
    return av


# ---------------------------------------------------------------------------------------------------- writing


def write_film(file, frames: Iterable[np.ndarray], rate, sound: Path | None = None) -> None:
    """Frames (height, width, channels) as H.264 in .mp4, one after the other; see `save_video`.

    FFmpeg has its encoder under the GPL only; where it was built without, as MPEG-4 of the best quality. `sound`: a film whose
    sound is laid beside them, as it is where .mp4 can hold it, else as AAC.
    """
    av, stream = needed_av(getattr(file, "name", file)), None
    with av.open(file, "w", format="mp4") as container, ExitStack() as inputs:
        container.metadata["comment"] = _MADE_HERE
        heard = None if sound is None else inputs.enter_context(opened(sound))
        packets = sound_for(container, heard)
        for frame in frames:
            pixels = bytes_of(frame)
            if stream is None:
                has_h264 = "libx264" in av.codecs_available
                stream = container.add_stream("libx264" if has_h264 else "mpeg4", rate=Fraction(rate), options={"crf": "16"})
                stream.height, stream.width = pixels.shape[:2]
                odd = stream.height % 2 or stream.width % 2
                stream.pix_fmt = "yuv444p" if odd and has_h264 else "yuv420p"
                if not has_h264:
                    stream.codec_context.qmin, stream.codec_context.qmax = 1, 2
            picture = av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
            container.mux(stream.encode(picture))
        if stream is not None:
            container.mux(stream.encode(None))
        for packet in packets:
            container.mux(packet)


def sound_for(container, heard) -> Iterable[Any]:
    """The packets of a film's sound, for a film that is written; its stream is made at once, as .mp4 wants it."""
    if heard is None or not heard.streams.audio:
        return ()
    source = heard.streams.audio[0]
    if source.codec_context.name in _SOUNDS:
        return copied(heard, source, container.add_stream_from_template(source))
    return recoded(heard, source, container.add_stream("aac", rate=source.codec_context.sample_rate))


def copied(heard, source, target) -> Iterator[Any]:
    for packet in heard.demux(source):
        if packet.dts is not None:
            packet.stream = target
            yield packet


def recoded(heard, source, target) -> Iterator[Any]:
    for frame in heard.decode(source):
        frame.pts = None
        yield from target.encode(frame)
    yield from target.encode(None)


def bytes_of(frame: np.ndarray) -> np.ndarray:
    """(height, width) or (height, width, 3) uint8."""
    if frame.dtype.kind == "f":
        frame = (np.clip(frame, 0, 1) * 255).round().astype(np.uint8)
    frame = frame[..., 0] if frame.ndim == 3 and frame.shape[-1] == 1 else frame
    if frame.dtype != np.uint8 or frame.shape[2:] not in ((), (3,)):
        raise ValueError(f"A frame of {frame.shape} {frame.dtype}: a film holds grey or RGB of 8 bits. Write a .npy array.")
    return np.ascontiguousarray(frame)


def film_written_here(file: Path) -> bool:
    try:
        with opened(file) as container:
            return container.metadata.get("comment") == _MADE_HERE
    except (ValueError, ImportError):
        return False
