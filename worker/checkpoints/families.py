"""The exact names of the five families: each stored tensor and the Keras variable that holds it.

Stored names are those of the modeling files of transformers; Keras paths are those of the KerasHub backbones
and of the heads in heads.py. The same table serves loading and saving. A family never guesses: no suffix is
matched.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.checkpoints.layouts import Layout


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor: its stored name, the path of the Keras variable, and the layout between them."""

    tensor: str
    variable: str
    layout: Layout = Layout.SAME

    def prefixed(self, prefix: str) -> "Slot":
        """Return the slot under its whole stored name."""
        return Slot(prefix + self.tensor, self.variable, self.layout)


@dataclass(frozen=True, slots=True)
class LayerNames:
    """The stored names of the eight parts of one transformer layer: six dense layers and two norms."""

    query: str
    key: str
    value: str
    output: str
    norm: str
    up: str
    down: str
    last_norm: str


@dataclass(frozen=True, slots=True)
class Family:
    """The names of one family.

    Names in embeddings, layer and pooler are without the prefix of the encoder ("bert."), which a bare
    encoder lacks; names in head are whole. layer_places are a stored layer's and a Keras layer's place;
    {index} counts layers (ALBERT: groups of them) and {inner} those in a group.
    """

    architecture: str
    prefix: str
    embeddings: tuple[Slot, ...]
    layer_places: tuple[str, str]
    layer: LayerNames
    head: tuple[Slot, ...]
    pooler: tuple[Slot, ...] = ()
    segments: bool = False
    #: What config.json calls the number of layers.
    layers_key: str = "num_hidden_layers"
    #: RoBERTa has token types that are always 0: KerasHub leaves them out, so they live on in the positions.
    folds_token_types: bool = False

    def encoder_slots(self, layers: int, repetitions: int = 1) -> Iterator[Slot]:
        """Give the slots of the embeddings and of every distinct layer.

        layers counts layers, or ALBERT's groups of shared layers; repetitions counts the layers in a group.
        """
        yield from self.embeddings
        for index in range(layers):
            for inner in range(repetitions):
                stored, built = self._places(index, inner)
                for slot in _layer(self.layer):
                    yield Slot(f"{stored}.{slot.tensor}", f"{built}/{slot.variable}", slot.layout)

    def stored_place(self, index: int, inner: int = 0) -> str:
        """Return where the tensors of a distinct layer are stored, without the prefix."""
        return self._places(index, inner)[0]

    @property
    def down_projections(self) -> str:
        """A regular expression for the names, without the prefix, of the feed-forward down projections."""
        place = re.escape(self.layer_places[0]).replace(r"\{index\}", r"\d+").replace(r"\{inner\}", r"\d+")
        return rf"{place}\.{re.escape(self.layer.down)}"

    def _places(self, index: int, inner: int) -> tuple[str, str]:
        stored, built = (place.format(index=index, inner=inner) for place in self.layer_places)
        return stored, built


def _dense(tensor: str, variable: str) -> tuple[Slot, Slot]:
    kernel = Slot(f"{tensor}.weight", f"{variable}/kernel", Layout.DENSE)
    return kernel, Slot(f"{tensor}.bias", f"{variable}/bias")


def _norm(tensor: str, variable: str) -> tuple[Slot, Slot]:
    return Slot(f"{tensor}.weight", f"{variable}/gamma"), Slot(f"{tensor}.bias", f"{variable}/beta")


def _split(tensor: str, name: str) -> tuple[Slot, Slot]:
    path = f"self_attention_layer/{name}"
    kernel = Slot(f"{tensor}.weight", f"{path}/kernel", Layout.SPLIT_HEADS)
    return kernel, Slot(f"{tensor}.bias", f"{path}/bias", Layout.SPLIT_HEADS_BIAS)


def _layer(names: LayerNames) -> tuple[Slot, ...]:
    joined = "self_attention_layer/attention_output"
    return (
        *_split(names.query, "query"),
        *_split(names.key, "key"),
        *_split(names.value, "value"),
        Slot(f"{names.output}.weight", f"{joined}/kernel", Layout.JOIN_HEADS),
        Slot(f"{names.output}.bias", f"{joined}/bias"),
        *_norm(names.norm, "self_attention_layer_norm"),
        *_dense(names.up, "feedforward_intermediate_dense"),
        *_dense(names.down, "feedforward_output_dense"),
        *_norm(names.last_norm, "feedforward_layer_norm"),
    )


WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
SEGMENT_TYPES = "embeddings.token_type_embeddings.weight"


def _embeddings(inside: str = "") -> tuple[Slot, ...]:
    return (
        Slot(WORDS, f"{inside}token_embedding/embeddings"),
        Slot(POSITIONS, f"{inside}position_embedding/embeddings"),
        *_norm("embeddings.LayerNorm", "embeddings_layer_norm"),
    )


_SEGMENTS = Slot(SEGMENT_TYPES, "segment_embedding/embeddings")

_BERT_LAYER = LayerNames(
    query="attention.self.query",
    key="attention.self.key",
    value="attention.self.value",
    output="attention.output.dense",
    norm="attention.output.LayerNorm",
    up="intermediate.dense",
    down="output.dense",
    last_norm="output.LayerNorm",
)
_DISTILBERT_LAYER = LayerNames(
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    norm="sa_layer_norm",
    up="ffn.lin1",
    down="ffn.lin2",
    last_norm="output_layer_norm",
)
_ALBERT_LAYER = LayerNames(
    query="attention.query",
    key="attention.key",
    value="attention.value",
    output="attention.dense",
    norm="attention.LayerNorm",
    up="ffn",
    down="ffn_output",
    last_norm="full_layer_layer_norm",
)
_BERT_PLACES = ("encoder.layer.{index}", "transformer_layer_{index}")


def _roberta(architecture: str) -> Family:
    return Family(
        architecture=architecture,
        prefix="roberta.",
        embeddings=_embeddings("embeddings/"),
        layer_places=_BERT_PLACES,
        layer=_BERT_LAYER,
        head=(*_dense("classifier.dense", "head_dense"), *_dense("classifier.out_proj", "logits")),
        folds_token_types=True,
    )


FAMILIES = {
    "bert": Family(
        architecture="BertForSequenceClassification",
        prefix="bert.",
        embeddings=(*_embeddings(), _SEGMENTS),
        layer_places=_BERT_PLACES,
        layer=_BERT_LAYER,
        pooler=_dense("pooler.dense", "pooled_dense"),
        head=_dense("classifier", "logits"),
        segments=True,
    ),
    "distilbert": Family(
        architecture="DistilBertForSequenceClassification",
        prefix="distilbert.",
        embeddings=_embeddings("token_and_position_embedding/"),
        layer_places=("transformer.layer.{index}", "transformer_layer_{index}"),
        layer=_DISTILBERT_LAYER,
        head=(*_dense("pre_classifier", "head_dense"), *_dense("classifier", "logits")),
        layers_key="n_layers",
    ),
    "roberta": _roberta("RobertaForSequenceClassification"),
    "xlm-roberta": _roberta("XLMRobertaForSequenceClassification"),
    "albert": Family(
        architecture="AlbertForSequenceClassification",
        prefix="albert.",
        embeddings=(
            *_embeddings(),
            _SEGMENTS,
            *_dense("encoder.embedding_hidden_mapping_in", "embedding_projection"),
        ),
        layer_places=(
            "encoder.albert_layer_groups.{index}.albert_layers.{inner}",
            "group_{index}_inner_layer_{inner}",
        ),
        layer=_ALBERT_LAYER,
        pooler=_dense("pooler", "pooled_dense"),
        head=_dense("classifier", "logits"),
        segments=True,
    ),
}
