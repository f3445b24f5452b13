"""Relevance by CLIP or SigLIP: does a picture show what its keyword asks for? Needs the extra `clip`.

    scorer = open_scorer("weights/clip-vit-b-32")     a folder as save_pretrained leaves it, or a name on the hub
    vectors = scorer.embed(pictures)                  once a picture: they depend on `scorer.digest` and REVISION alone
    scores = scorer.scores(vectors, "red dress")      for any keyword, without looking at the pictures again

The score. Every prompt gets a logit, the model's own scale (exp of `logit_scale`, about 100) times the cosine between
picture and prompt. The positive prompts together and the negative prompts together have the same weight beforehand, so
that a longer list isn't a stronger one:

    score = mean(exp(positive logits)) / (mean(exp(positive logits)) + mean(exp(negative logits)))

which is a softmax over all prompts with the prior 1/2 shared within each side; 0.5 says nothing. SigLIP adds a bias to
every logit and was trained with a sigmoid; in a softmax the bias cancels, so CLIP and SigLIP have one definition. The
sigmoid asks "was exactly this text written beside this picture", which is near 0 for any made-up prompt.

What the model sees is what its own image processor shows it: CLIP's cuts out the middle square, SigLIP's squashes.
Nothing is fetched unless `download` allows it, and nothing pickled is read: safetensors, JSON and vocabularies only.
"""

import hashlib
import importlib
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import SafetensorError

from gravurekit.errors import MissingExtra, UsageError

REVISION = 1  # raised when `embed` gives other numbers for the same weights and pictures

# `{keyword}` is filled in; without a keyword (a plain folder) the prompts that name it are left out.
POSITIVE = (
    "a person wearing {keyword}",
    "a photo of a woman wearing {keyword}",
    "a photo of a man wearing {keyword}",
    "a full-length figure in {keyword}",
    "an engraving of a figure wearing {keyword}",
    "a painting of a person in {keyword}",
    "a full-length figure in traditional dress",
    "a costume engraving",
)
NEGATIVE = (
    "a product photo of clothes without a person",
    "clothes on a hanger",
    "a piece of fabric",
    "a map",
    "a page of text",
    "a book cover",
    "a logo",
    "a diagram",
    "a screenshot",
    "a landscape",
    "a building",
    "a room with furniture",
    "an animal",
    "a plate of food",
    "a car",
)

# The files of weights that are read, and so the digest's and all that is ever downloaded. The last
# four hold vocabularies: CLIP's, and sentencepiece's.
FILES = (
    "config.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors",
    "preprocessor_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "spiece.model", "tokenizer.model",
)  # fmt: skip
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",), ("tokenizer.model",))
KINDS = {"clip": ("CLIPModel", "CLIPImageProcessor"), "siglip": ("SiglipModel", "SiglipImageProcessor")}
LONGEST = 4  # of a longer picture the middle is looked at: resizing 1 × 10,000 pixels to 224 high takes gigabytes

ELSE = "give weights of a CLIP or SigLIP as save_pretrained leaves them"
ALLOW = "--clip-download"  # the flag that becomes open_scorer's `download`

# Batches are always full, the last one filled up with its first item: a matrix product of another size is another
# kernel with other rounding, so this is what makes a picture's numbers independent of its company.
BATCH = {"cuda": 64, "mps": 16, "cpu": 16}  # pictures; one by one costs several times as much on a CPU
TEXTS = 8  # prompts: about as many as a new keyword brings

# What is raised at files that aren't what they should be, besides the hub's own failures (`_is_trouble`).
TROUBLE = (OSError, ValueError, RuntimeError, LookupError, TypeError, AttributeError, ImportError, SafetensorError)


@dataclass
class Scorer:
    """A loaded CLIP or SigLIP. `digest`: 16 hex digits over the files of its weights."""

    weights: str
    digest: str
    device: Any  # a torch.device
    model: Any
    processor: Any
    tokenizer: Any
    _prompts: dict[str, np.ndarray] = field(default_factory=dict)  # prompt → (D,) float32 unit vector

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Pictures, each (H, W, 3) uint8 sRGB of any size → (N, D) float32 unit vectors.

        A picture's vector doesn't depend on the others in the call: to the bit on a CPU (measured with torch 2.13 on
        x86-64), on a GPU as far as its kernels treat all rows of a batch alike. Another machine, number of threads or
        version of torch rounds otherwise, and CUDA computes in half precision.
        """
        vectors = self._encoded(pictures, BATCH[self.device.type], self._see, self.model.get_image_features)
        return np.array(vectors, np.float32).reshape(len(pictures), self.dimensions)

    def scores(
        self,
        embeddings: np.ndarray,
        keyword: str,
        positive: Sequence[str] = POSITIVE,
        negative: Sequence[str] = NEGATIVE,
    ) -> np.ndarray:
        """(N, D) float32 unit vectors of pictures → (N,) float32 0..1: how probably each shows what is asked for."""
        wanted, unwanted = (_filled(prompts, keyword) for prompts in (positive, negative))
        texts = self._texts([*wanted, *unwanted]).astype(np.float64)
        # in double precision, so that float32 swallows what a product of another size rounds differently
        logits = embeddings.astype(np.float64) @ texts.T * math.exp(float(self.model.logit_scale))
        against = _log_mean_exp(logits[:, len(wanted) :]) - _log_mean_exp(logits[:, : len(wanted)])
        return (1 / (1 + np.exp(np.minimum(against, 700)))).astype(np.float32)  # exp(710) overflows

    @property
    def dimensions(self) -> int:
        """D, the length of a vector."""
        config = self.model.config
        return int(config.projection_dim if config.model_type == "clip" else config.vision_config.hidden_size)

    def _texts(self, prompts: Sequence[str]) -> np.ndarray:
        """Prompts → (P, D) float32 unit vectors; each is looked at once in the Scorer's life."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._prompts]
        vectors = self._encoded(new, TEXTS, self._read, self.model.get_text_features)
        self._prompts |= dict(zip(new, vectors, strict=True))
        return np.stack([self._prompts[prompt] for prompt in prompts])

    def _see(self, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
        views = [Image.fromarray(_middle(picture)) for picture in pictures]
        # Without the axis of colour being named, the processor takes a picture of 3 × 3 for one of another layout.
        seen = self.processor(images=views, return_tensors="pt", input_data_format="channels_last")
        return {"pixel_values": seen["pixel_values"]}

    def _read(self, prompts: Sequence[str]) -> dict[str, Any]:
        """Prompts → token ids (P, T). All filled up to the same T: SigLIP was trained so, and reads the last one."""
        config = self.model.config.text_config
        tokens = self.tokenizer(
            # CLIP's vocabulary and SigLIP's are of small letters; not every tokenizer of SigLIP 2 sees to that itself.
            [prompt.lower() for prompt in prompts],
            padding="max_length", truncation=True, max_length=config.max_position_embeddings, return_tensors="pt",
        )  # fmt: skip
        if int(tokens["input_ids"].max()) >= config.vocab_size:
            raise UsageError(f"{self.weights}: the tokenizer and the weights don't belong together; {ELSE}")
        if self.model.config.model_type == "siglip":  # trained without a mask, whatever its tokenizer says
            return {"input_ids": tokens["input_ids"]}
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def _encoded(
        self,
        items: Sequence[Any],
        size: int,
        prepare: Callable[[Sequence[Any]], dict[str, Any]],
        encode: Callable[..., Any],
    ) -> list[np.ndarray]:
        """Items → (D,) float32 unit vectors, in batches of `size`."""
        import torch

        found: list[np.ndarray] = []
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            missing = size - len(batch)
            full = {
                name: torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])]).to(self.device)
                for name, rows in prepare(batch).items()
            }
            with torch.inference_mode(), _precision(self.device):
                output = encode(**full)
            rows = getattr(output, "pooler_output", output)  # transformers 4 gives the tensor itself
            found.extend(self._unit(rows[: len(batch)].float().cpu().numpy()))
        return found

    def _unit(self, rows: np.ndarray) -> np.ndarray:
        """(N, D) float32 → the same at length 1."""
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise UsageError(f"{self.weights} gives no usable numbers: the weights are damaged; {ELSE}")
        return rows / lengths


def open_scorer(weights: str, device: str = "auto", download: bool = False) -> Scorer:
    """The CLIP or SigLIP in the folder `weights`, or of that name on the hub.

    Only with `download` is the network asked, and only for FILES. Raises MissingExtra without transformers, UsageError
    for weights that aren't there, are no CLIP or SigLIP, are pickled, damaged, or don't fit together.
    """
    library = _library()
    place = _device(device)
    folder = _folder(weights, download)
    kind = _kind(weights, folder)
    try:
        with _quiet(library):
            model, processor, tokenizer = _load(library, folder, kind)
            scorer = Scorer(weights, digest_of(folder), place, model.to(place), processor, tokenizer)
            _check(scorer)
    except Exception as error:
        if not _is_trouble(error):
            raise
        raise UsageError(f"{weights} can't be loaded: {_said(error)}; {ELSE}") from error
    return scorer


def digest_of(folder: Path) -> str:
    """16 hex digits over the names and bytes of the files that make the weights in a folder."""
    whole = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as file:
            whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()[:16]


def local_digest(weights: str) -> str:
    """`digest_of` weights that are here; "" for those that aren't."""
    try:
        return digest_of(_folder(weights, download=False))
    except UsageError:
        return ""


def _files(folder: Path) -> list[Path]:
    """The files in a folder that belong to its weights, by name."""
    return sorted(p for p in folder.iterdir() if p.is_file() and any(fnmatchcase(p.name, name) for name in FILES))


def _library() -> Any:
    """The module transformers."""
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise MissingExtra("--relevance clip", "clip") from None


def _device(name: str) -> Any:
    """ "auto" → cuda, else mps, else cpu, as a torch.device."""
    import torch

    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in found.items() if here))
    if not found.get(name.partition(":")[0], False):
        usable = ", ".join(["auto", *(kind for kind, here in found.items() if here)])
        raise UsageError(f"device '{name}' isn't available to torch on this machine; choose one of: {usable}")
    return torch.device(name)


def _folder(weights: str, download: bool) -> Path:
    """Where the weights lie; those of the hub in its own cache."""
    here = Path(weights).expanduser()
    if here.is_dir():
        return here
    if here.exists():
        raise UsageError(f"{weights} is a file: give the folder that it lies in, with its config and tokenizer")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", weights):
        raise UsageError(f"{weights}: there is no such folder, and it is no name of weights on the hub")
    hub = importlib.import_module("huggingface_hub")
    # The hub's own failures, those of whichever library carries its requests, and what the disk says.
    failures = (*hub.errors.HfHubHTTPError.__bases__, OSError, ValueError)
    try:
        return Path(hub.snapshot_download(weights, local_files_only=not download, allow_patterns=list(FILES)))
    except failures as error:
        if download:
            raise UsageError(
                f"{weights} can't be downloaded: {_said(error)}; check the name and the network"
            ) from error
        raise UsageError(
            f"{weights} is no folder, and no weights of that name have been downloaded: fetch them with "
            f"`hf download {weights}`, allow it with {ALLOW}, or give a folder as save_pretrained leaves it"
        ) from None


def _kind(weights: str, folder: Path) -> str:
    """ "clip" or "siglip", read from config.json before anything else is believed."""
    names = {path.name for path in _files(folder)}
    if not names & {"model.safetensors", "model.safetensors.index.json"}:
        pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        if pickled:
            raise UsageError(
                f"{weights} holds pickled weights only ({pickled[0]}), which can run any program when they are read: "
                "choose weights that have a model.safetensors"
            )
        raise UsageError(f"{weights} holds no model.safetensors: give a folder as save_pretrained leaves it")
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"{weights}: its config.json can't be read ({_said(error)}); {ELSE}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS:
        raise UsageError(f"{weights} is no CLIP or SigLIP (its config.json says model_type {kind!r}); {ELSE}")
    return str(kind)


def _load(library: Any, folder: Path, kind: str) -> tuple[Any, Any, Any]:
    """Model, image processor and tokenizer of a folder. No code and no pickle from it is run."""
    network, processor = KINDS[kind]
    # transformers 5 has the processors twice, and that without torchvision has a name of its own
    seeing = getattr(library, f"{processor}Pil", None) or getattr(library, processor)
    if not any(all((folder / name).is_file() for name in names) for names in VOCABULARIES):
        raise ValueError("its vocabulary is missing")  # transformers would go on with an empty one
    local = {"local_files_only": True, "trust_remote_code": False}
    model, report = getattr(library, network).from_pretrained(
        str(folder), use_safetensors=True, output_loading_info=True, **local
    )
    if report["missing_keys"]:  # they would be filled at random, with no more than a warning
        raise ValueError(f"{len(report['missing_keys'])} tensors are missing, {min(report['missing_keys'])} among them")
    return (
        model.float().eval().requires_grad_(False),
        seeing.from_pretrained(str(folder), **local),
        library.AutoTokenizer.from_pretrained(str(folder), **local),
    )


def _check(scorer: Scorer) -> None:
    """Do the parts fit together? Said now, not after an hour of crawling."""
    side = scorer.model.config.vision_config.image_size
    shape = tuple(scorer._see([np.full((8, 16, 3), 128, np.uint8)])["pixel_values"].shape)
    if shape != (1, 3, side, side):
        raise ValueError(f"its image processor makes pictures of {shape}, the network wants {(1, 3, side, side)}")
    if not math.isfinite(float(scorer.model.logit_scale)):
        raise ValueError("its logit_scale isn't a number")
    one, other = scorer._read(["a map", "a page of text"])["input_ids"]
    if one.equal(other):
        raise ValueError("its tokenizer can't tell words apart")


def _is_trouble(error: Exception) -> bool:
    """Is it what the libraries raise at damaged files? tokenizers raises a bare Exception, which no `except` can name
    without naming all others, too."""
    strict = importlib.import_module(
        "huggingface_hub.errors"
    ).StrictDataclassError  # a value of a wrong type in a config
    return type(error) is Exception or isinstance(error, (*TROUBLE, strict))


@contextmanager
def _quiet(library: Any) -> Iterator[None]:
    """No progress bars and no advice of transformers on our stderr while weights are loaded."""
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _precision(device: Any) -> AbstractContextManager[Any]:
    """Half precision on CUDA. By autocast, which keeps what adds up from layer to layer in float32, out of overflow."""
    import torch

    return torch.autocast("cuda", torch.float16) if device.type == "cuda" else nullcontext()


def _middle(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → its middle, at most LONGEST times as long as it is wide."""
    height, width = picture.shape[:2]
    tall, wide = min(height, LONGEST * width), min(width, LONGEST * height)
    top, left = (height - tall) // 2, (width - wide) // 2
    return np.ascontiguousarray(picture[top : top + tall, left : left + wide])


def _filled(prompts: Sequence[str], keyword: str) -> list[str]:
    """The prompts with the keyword in its place; without one, those that need none."""
    word = " ".join(keyword.split())
    found = [prompt.replace("{keyword}", word) for prompt in prompts if word or "{keyword}" not in prompt]
    if not found:
        raise UsageError(
            "--relevance clip needs a positive and a negative prompt, and for pictures without a keyword "
            "some that don't say {keyword}"
        )
    return found


def _log_mean_exp(logits: np.ndarray) -> np.ndarray:
    """(N, P) float64 → (N,) float64: log of the mean of exp over each row."""
    highest = logits.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logits - highest[:, None]).mean(axis=1)))


def _said(error: BaseException) -> str:
    """The first line of what a library says, which may go on for pages."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
