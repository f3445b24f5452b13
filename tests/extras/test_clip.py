"""CLIP and SigLIP as they are loaded and asked, with tiny networks made here at random (the extra `clip`).

The files are what save_pretrained leaves, with a real byte-pair vocabulary for CLIP and a real sentencepiece one for
SigLIP, so that no code of the loading is passed by. What the networks say means nothing; the laws hold all the same.
"""

import io
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from workspace import run_here

from gravurekit import images
from gravurekit.errors import UsageError
from gravurekit.metadata import DROPPED, METADATA, read_lines
from gravurekit.relevance import clip
from gravurekit.storage import write_bytes

transformers = pytest.importorskip("transformers", reason="pip install 'gravurekit[clip]'")
sentencepiece = pytest.importorskip("sentencepiece", reason="pip install 'gravurekit[clip]'")

SIDE, LENGTH = 32, 24  # of the networks' pictures, in pixels; of their texts, in tokens
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = TOWER | {"image_size": SIDE, "patch_size": 8}
Folders = dict[str, Path]


def processor(name: str) -> Any:
    return getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)


def save_clip(folder: Path) -> None:
    """A CLIP whose byte-pair vocabulary is all bytes, inside and at the end of a word, and three merges."""
    visible = [chr(byte) for byte in [*range(33, 127), *range(161, 173), *range(174, 256)]]
    letters = visible + [chr(256 + count) for count in range(256 - len(visible))]
    merges = [("p", "e"), ("r", "e"), ("re", "d</w>")]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges)]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", "utf-8")
    transformers.CLIPTokenizer.from_pretrained(str(folder)).save_pretrained(str(folder))
    end = len(vocabulary) - 1
    special = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    text = TOWER | special | {"vocab_size": len(vocabulary), "max_position_embeddings": LENGTH}
    config = transformers.CLIPConfig(
        text_config=text, vision_config=VISION, projection_dim=16, logit_scale_init_value=4.6
    )
    transformers.CLIPModel(config).save_pretrained(str(folder))
    sizes = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    processor("CLIPImageProcessor")(**sizes).save_pretrained(str(folder))


def save_siglip(folder: Path) -> None:
    """A SigLIP with a sentencepiece vocabulary that is learnt from the prompts."""
    folder.mkdir()
    learnt = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*clip.POSITIVE, *clip.NEGATIVE] * 4), model_writer=learnt, vocab_size=90,
        pad_id=-1, unk_id=2, bos_id=-1, eos_id=1, hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "spiece.model").write_bytes(learnt.getvalue())
    tokenizer = transformers.SiglipTokenizer.from_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    text = TOWER | {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "projection_size": 32}
    model = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=VISION))
    model.logit_scale.data.fill_(4.6)
    model.save_pretrained(str(folder))
    processor("SiglipImageProcessor")(size={"height": SIDE, "width": SIDE}).save_pretrained(str(folder))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A folder of weights of each kind. Look, don't touch."""
    import torch

    place = tmp_path_factory.mktemp("weights")
    made = {"clip": save_clip, "siglip": save_siglip}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        for kind, save in made.items():
            save(place / kind)
    return {kind: place / kind for kind in made}


@pytest.fixture(scope="module", params=["clip", "siglip"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def scorer(kind: str, folders: Folders) -> clip.Scorer:
    return clip.open_scorer(str(folders[kind]), device="cpu")


@pytest.fixture
def copy(kind: str, folders: Folders, tmp_path: Path) -> Path:
    """Weights to spoil."""
    return Path(shutil.copytree(folders[kind], tmp_path / "copy"))


@pytest.fixture(autouse=True)
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Every attempt to reach a host fails and is counted; an empty hub cache."""
    attempts: list[object] = []

    def refused(*arguments: object, **_: object) -> None:
        attempts.append(arguments)
        raise OSError("no network in this test")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refused)
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refused)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield attempts


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """(H, W, 3) uint8: coarse noise of many shapes; among them grey, flat, of one pixel, and very long ones."""
    rng = np.random.default_rng(3)
    shapes = [(40, 30), (32, 32), (90, 200), (1, 1), (3, 3), (1, 3), (1, 3000), (5000, 2), (64, 48)]
    found = [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    grey = rng.integers(0, 256, (50, 40, 1), dtype=np.uint8).repeat(3, 2)
    return [*found, grey, np.zeros((20, 20, 3), np.uint8), np.full((20, 30, 3), 255, np.uint8)]


def test_vectors_have_length_one_and_scores_are_probabilities(scorer: clip.Scorer, pictures: list[np.ndarray]) -> None:
    vectors = scorer.embed(pictures)
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(pictures), scorer.dimensions))
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    scores = scorer.scores(vectors, "red dress")
    assert (scores.dtype, scores.shape) == (np.float32, (len(pictures),))
    assert ((scores >= 0) & (scores <= 1)).all() and scores.std() > 1e-4


def test_no_pictures_give_no_scores(scorer: clip.Scorer) -> None:
    vectors = scorer.embed([])
    assert vectors.shape == (0, scorer.dimensions) and vectors.dtype == np.float32
    assert scorer.scores(vectors, "red dress").shape == (0,)


def test_a_picture_scores_the_same_in_any_company(scorer: clip.Scorer, pictures: list[np.ndarray]) -> None:
    """To the bit: alone, in another order, across the border of a batch, and beside other keywords."""
    many = (pictures * 4)[:37]
    together = scorer.embed(many)
    assert len(many) > 2 * clip.BATCH["cpu"]
    assert np.array_equal(scorer.embed(many[::-1])[::-1], together)
    assert np.array_equal(np.concatenate([scorer.embed(many[:5]), scorer.embed(many[5:])]), together)
    scores = scorer.scores(together, "red dress")
    for place in (0, 9, 36):
        alone = scorer.embed([many[place]])
        assert np.array_equal(alone[0], together[place])
        assert scorer.scores(alone, "red dress") == scores[place]
    again = clip.open_scorer(scorer.weights, device="cpu")
    again.scores(together, "kaftan")  # its prompts share no batch with the other scorer's
    assert np.array_equal(again.scores(together, "red dress"), scores)


def test_another_keyword_gives_another_score(scorer: clip.Scorer, pictures: list[np.ndarray]) -> None:
    vectors = scorer.embed(pictures)
    seen = {scorer.scores(vectors, word).tobytes() for word in ("red dress", "kaftan", "yeniçeri kıyafeti", "")}
    assert len(seen) == 4
    assert np.array_equal(scorer.scores(vectors, " Red  dress "), scorer.scores(vectors, "red dress"))
    assert np.isfinite(scorer.scores(vectors, "dress " * 300)).all()  # longer than the network can read


def test_each_prompt_is_read_once(scorer: clip.Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    really = clip.Scorer._read

    def counted(self: clip.Scorer, prompts: list[str]) -> dict[str, Any]:
        read.extend(prompts)
        return really(self, prompts)

    monkeypatch.setattr(clip.Scorer, "_read", counted)
    vector = np.ones((1, scorer.dimensions), np.float32)
    for word in ("salvar", "cubbe", "salvar"):
        scorer.scores(vector, word)
    assert len(read) == len(set(read)) and sum("salvar" in prompt for prompt in read) >= 5


def test_own_prompts_and_the_weight_of_the_sides(scorer: clip.Scorer, pictures: list[np.ndarray]) -> None:
    """Equal sides say 0.5, changed sides the complement, and a prompt said twice weighs no more."""
    vectors = scorer.embed(pictures)
    ask = lambda yes, no: scorer.scores(vectors, "dress", positive=yes, negative=no)  # noqa: E731
    assert np.allclose(ask(["a {keyword}"], ["a dress"]), 0.5)
    assert np.allclose(ask(["a map"], ["a {keyword}"]) + ask(["a {keyword}"], ["a map"]), 1)
    assert np.allclose(ask(["a map", "a map"], ["a logo"]), ask(["a map"], ["a logo"]))
    with pytest.raises(UsageError, match="needs a positive and a negative prompt"):
        ask([], ["a map"])
    with pytest.raises(UsageError, match="don't say {keyword}"):
        scorer.scores(vectors, " ", positive=["a {keyword}"])


def test_scores_are_the_softmax_of_the_models_own_logits(
    scorer: clip.Scorer, kind: str, pictures: list[np.ndarray]
) -> None:
    """Against the network's own forward pass, with its scale and SigLIP's bias."""
    import torch

    prompts = ["a person wearing dress", "a map"]
    with torch.inference_mode():
        logits = scorer.model(**scorer._see(pictures), **scorer._read(prompts)).logits_per_image.double()
    expected = torch.softmax(logits, dim=1)[:, 0].numpy()
    scores = scorer.scores(scorer.embed(pictures), "dress", ["a person wearing {keyword}"], ["a map"])
    assert np.allclose(scores, expected, atol=1e-4)


def test_only_the_middle_of_a_long_picture_is_seen(scorer: clip.Scorer) -> None:
    rng = np.random.default_rng(5)
    middle = rng.integers(0, 256, (20, 80, 3), dtype=np.uint8)
    sides = np.zeros((20, 400, 3), np.uint8)
    assert np.array_equal(scorer.embed([np.concatenate([sides, middle, sides], axis=1)]), scorer.embed([middle]))


def test_the_digest_is_that_of_the_files(scorer: clip.Scorer, copy: Path) -> None:
    assert len(scorer.digest) == 16 and int(scorer.digest, 16) >= 0
    assert clip.open_scorer(str(copy), "cpu").digest == scorer.digest
    (copy / "README.md").write_text("what isn't read doesn't count", "utf-8")
    assert clip.digest_of(copy) == scorer.digest
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1  # the least change of one weight
    (copy / "model.safetensors").write_bytes(weights)
    assert clip.open_scorer(str(copy), "cpu").digest != scorer.digest


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_the_digest_sees_every_file(name: str, copy: Path) -> None:
    before = clip.digest_of(copy)
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    assert clip.digest_of(copy) != before


def test_opening_a_folder_asks_nobody(copy: Path, calls: list[object]) -> None:
    scorer = clip.open_scorer(str(copy), "cpu")
    scorer.scores(scorer.embed([np.zeros((4, 4, 3), np.uint8)]), "red dress")
    assert calls == []


@pytest.mark.parametrize("name", ["openai/clip-vit-base-patch32", "some-weights", "weights/clip"])
def test_a_name_without_leave_to_download_asks_nobody(name: str, calls: list[object]) -> None:
    with pytest.raises(UsageError, match=f"hf download {name}.*{clip.ALLOW}"):
        clip.open_scorer(name, "cpu")
    assert calls == []


def test_a_download_that_fails_says_so(calls: list[object]) -> None:
    with pytest.raises(UsageError, match="can't be downloaded"):
        clip.open_scorer("some/weights", "cpu", download=True)
    assert calls, "this test proves that the others would see a call"


def test_what_was_downloaded_before_is_found_by_name(copy: Path, tmp_path: Path, calls: list[object]) -> None:
    stored = tmp_path / "hub" / "models--some--weights"
    revision = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(copy, stored / "snapshots" / revision)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(revision, "utf-8")
    assert clip.open_scorer("some/weights", "cpu").digest == clip.digest_of(copy)
    assert calls == []


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "~/no such", "a/b/c", "-x", ""])
def test_what_is_neither_folder_nor_name_is_refused(
    name: str, calls: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no such folder|no model.safetensors"):
        clip.open_scorer(name, "cpu", download=True)
    assert calls == []


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_a_tensor(path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(path)
    del tensors[max(tensors)]
    save_file(tensors, path, metadata={"format": "pt"})


def not_numbers(path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    save_file({name: np.full_like(values, np.nan) for name, values in load_file(path).items()}, path, {"format": "pt"})


def another_kind(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"model_type": "bert"}), "utf-8")


def another_size(path: Path) -> None:
    config = json.loads(path.read_bytes())
    config["vision_config"]["hidden_size"] = 64
    path.write_text(json.dumps(config), "utf-8")


def noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(500))


SPOILT: list[tuple[str, Callable[[Path], None]]] = [
    ("model.safetensors", cut), ("model.safetensors", noise), ("model.safetensors", without_a_tensor),
    ("model.safetensors", not_numbers), ("model.safetensors", Path.unlink), ("config.json", cut),
    ("config.json", noise), ("config.json", Path.unlink), ("config.json", another_kind), ("config.json", another_size),
    ("tokenizer_config.json", noise), ("tokenizer", noise), ("tokenizer", Path.unlink), ("tokenizer", cut),
    ("tokenizer", lambda path: path.write_text("{}", "utf-8") and None), ("processor", cut), ("processor", Path.unlink),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spoil"), SPOILT)
def test_damaged_weights_are_refused(name: str, spoil: Callable[[Path], None], copy: Path, calls: list[object]) -> None:
    names = {"tokenizer": ("tokenizer.json", "vocab.json", "merges.txt", "spiece.model"),
             "processor": ("preprocessor_config.json", "processor_config.json")}.get(name, (name,))  # fmt: skip
    for path in [copy / each for each in names if (copy / each).exists()]:
        spoil(path)
    with pytest.raises(UsageError, match="copy"):
        clip.open_scorer(str(copy), "cpu").embed([np.zeros((4, 4, 3), np.uint8)])
    assert calls == []


def test_pickled_weights_are_not_read(copy: Path) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(UsageError, match="pickled weights only"):
        clip.open_scorer(str(copy), "cpu")


def test_code_beside_the_weights_is_not_run(copy: Path) -> None:
    (copy / "evil.py").write_text("raise SystemExit('run')\nclass Evil: pass\n", "utf-8")
    for name in ("config.json", "tokenizer_config.json", "preprocessor_config.json"):
        config = json.loads((copy / name).read_bytes())
        automatic = {part: "evil.Evil" for part in ("AutoModel", "AutoConfig", "AutoTokenizer", "AutoImageProcessor")}
        if name == "tokenizer_config.json":
            automatic["AutoTokenizer"] = ["evil.Evil", "evil.Evil"]  # type: ignore[assignment]
        (copy / name).write_text(json.dumps(config | {"auto_map": automatic}), "utf-8")
    clip.open_scorer(str(copy), "cpu")


def test_weights_in_several_files_are_read(copy: Path, scorer: clip.Scorer, pictures: list[np.ndarray]) -> None:
    (copy / "model.safetensors").unlink()
    scorer.model.save_pretrained(str(copy), max_shard_size="20KB")
    assert len(list(copy.glob("model-*-of-*.safetensors"))) > 1
    several = clip.open_scorer(str(copy), "cpu")
    assert np.array_equal(several.embed(pictures), scorer.embed(pictures))
    before = several.digest
    shard = max(copy.glob("model-*-of-*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert clip.digest_of(copy) != before


def test_a_device_that_isnt_there_is_refused(copy: Path) -> None:
    with pytest.raises(UsageError, match="choose one of: auto"):
        clip.open_scorer(str(copy), "abacus")


def test_loading_is_silent_and_leaves_the_library_as_it_was(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    clip.open_scorer(str(copy), "cpu")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_filter_scores_by_keyword_and_embeds_each_picture_once(
    kind: str, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 255, (240 + seed, 240, 3), np.uint8)
        write_bytes(tmp_path / "raw" / ("kaftan", "robe")[seed % 2] / f"{seed}.png", images.encode_png(pixels))
    words = ("-C", str(tmp_path), "filter", "--relevance", "clip", "--clip-weights", str(folders[kind]))
    skip = [word for name in ("graphic", "monochrome") for word in ("--skip", name)]
    told = run_here(*words, *skip)
    assert told.exit_code == 0 and "clip: no cut (--min-clip)" in told.stdout
    scores = {item.key: item.scores["clip"] for item in read_lines(tmp_path / "clean" / METADATA)}
    assert len(scores) == 3 and all(0 <= score <= 1 for score in scores.values())

    def refuse(*_: object) -> None:
        raise AssertionError("a picture was embedded again")

    monkeypatch.setattr(clip.Scorer, "embed", refuse)
    undecided = ("--clip-positive", "a map", "--clip-negative", "a map")
    assert run_here(*words, *skip, *undecided, "--min-clip", "0.51").exit_code == 0
    dropped = read_lines(tmp_path / "clean" / DROPPED)
    assert [(item.reason, item.scores["clip"]) for item in dropped] == [("irrelevant", 0.5)] * 3
    assert run_here(*words, *skip, *undecided, "--min-clip", "0.49").exit_code == 0
    assert len(read_lines(tmp_path / "clean" / METADATA)) == 3
