"""Networks as people bring them, in plain torch, as kinds of a project of their own."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import nn

from thresher.config import KindConfig
from thresher.kinds import ModelKind


class UNetSettings(KindConfig):
    kind: Literal["own_unet"] = "own_unet"


class UNet(nn.Module):
    """Down and up again, with group norms, transposed convolutions and what was on the way down beside."""

    def __init__(self, config: Any, image: Any, width: int) -> None:
        super().__init__()
        self.down1 = self.convolve(image.channels, 16)
        self.down2 = self.convolve(16, 32, stride=2)
        self.middle = self.convolve(32, 32)
        self.up = nn.ConvTranspose2d(32, 16, 2, stride=2)
        self.last = self.convolve(32, 16)
        self.classify = nn.Linear(16, width)

    @staticmethod
    def convolve(channels: int, out: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, out, 3, stride, 1), nn.GroupNorm(4, out), nn.SiLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down1(x)
        up = self.up(self.middle(self.down2(first)))
        return self.classify(self.last(torch.cat([first, up], dim=1)).mean(dim=(2, 3)))


class ViTSettings(KindConfig):
    kind: Literal["own_vit"] = "own_vit"


class ViT(nn.Module):
    """Patches, a class token and places that hang directly on the module, torch's own encoder."""

    def __init__(self, config: Any, image: Any, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(image.channels, 32, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 32) * 0.02)
        self.places = nn.Parameter(torch.randn(1, 1 + (image.height // 4) * (image.width // 4), 32) * 0.02)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(x.shape[0], -1, -1), tokens], dim=1) + self.places
        return self.head(self.norm(self.encoder(tokens))[:, 0])


class FusedViTSettings(KindConfig):
    kind: Literal["own_fused_vit"] = "own_fused_vit"


class FusedBlock(nn.Module):
    """Query, key and value from one layer, and gated units."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads, self.head_dim = num_heads, dim // num_heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.gated, self.out = nn.Linear(dim, 2 * 48), nn.Linear(48, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, steps, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(batch, steps, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = (query @ key.transpose(2, 3) * self.head_dim**-0.5).softmax(-1)
        x = x + self.proj((weights @ value).transpose(1, 2).reshape(batch, steps, self.num_heads * self.head_dim))
        gate, units = self.gated(self.norm2(x)).chunk(2, dim=-1)
        return x + self.out(nn.functional.silu(gate) * units)


class FusedViT(nn.Module):
    """A ViT in the style of timm."""

    def __init__(self, config: Any, image: Any, width: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(image.channels, 32, 4, stride=4)
        self.blocks = nn.Sequential(FusedBlock(32, 4), FusedBlock(32, 4))
        self.head = nn.Linear(32, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))


class MobileNetSettings(KindConfig):
    kind: Literal["own_mobilenet"] = "own_mobilenet"


class Inverted(nn.Module):
    """Expanded, each channel convolved alone, weighed by squeeze and excitation, and narrow again."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        inner = 4 * channels
        self.adds = stride == 1 and channels == out
        self.expand = nn.Sequential(nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU6())
        depthwise = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.depthwise = nn.Sequential(depthwise, nn.BatchNorm2d(inner), nn.ReLU6())
        self.squeeze, self.excite = nn.Conv2d(inner, inner // 4, 1), nn.Conv2d(inner // 4, inner, 1)
        self.project = nn.Sequential(nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = self.depthwise(self.expand(x))
        inner = inner * self.excite(self.squeeze(inner.mean((2, 3), keepdim=True)).relu()).sigmoid()
        out: torch.Tensor = self.project(inner)
        return x + out if self.adds else out


class MobileNet(nn.Module):
    """MobileNetV2's blocks with squeeze and excitation."""

    def __init__(self, config: Any, image: Any, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(image.channels, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.PReLU(16))
        self.blocks = nn.Sequential(Inverted(16, 16, 1), Inverted(16, 24, 2), Inverted(24, 24, 1))
        self.classify = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.1), nn.Linear(24, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.blocks(self.stem(x)))


class LstmSettings(KindConfig):
    kind: Literal["own_lstm_attention"] = "own_lstm_attention"
    cell: Literal["LSTM", "GRU"] = "LSTM"


class LstmAttention(nn.Module):
    """Two layers in both directions, and a mean of their states by what a small layer makes of each."""

    def __init__(self, config: LstmSettings, text: Any, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(text.vocabulary_size, 16, padding_idx=0)
        self.rnn = getattr(nn, config.cell)(16, 12, num_layers=2, batch_first=True, bidirectional=True)
        self.score = nn.Sequential(nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 1, bias=False))
        self.output = nn.Linear(24, width)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        states, _ = self.rnn(self.embedding(tokens))
        real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        weights = self.score(states).squeeze(2).masked_fill(~real, -1e4).softmax(dim=1)
        return self.output((weights[..., None] * states).sum(dim=1))


class BertSettings(KindConfig):
    kind: Literal["own_bert"] = "own_bert"


class BertAttention(nn.Module):
    """As transformers writes it: three layers, viewed as heads."""

    def __init__(self, dim: int, num_attention_heads: int) -> None:
        super().__init__()
        self.num_attention_heads, self.attention_head_size = num_attention_heads, dim // num_attention_heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def as_heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.view(*x.shape[:-1], -1, self.attention_head_size).transpose(1, 2)

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        query, key, value = (self.as_heads(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / math.sqrt(self.attention_head_size)
        mixed = (scores.masked_fill(~real[:, None, None], -1e4).softmax(dim=-1) @ value).transpose(1, 2)
        return mixed.reshape(*mixed.shape[:-2], -1)


class BertLayer(nn.Module):
    def __init__(self, dim: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention, self.dense = BertAttention(dim, heads), nn.Linear(dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.intermediate, self.output = nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, x: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        x = self.norm1(x + self.dense(self.attention(x, real)))
        return self.norm2(x + self.output(nn.functional.gelu(self.intermediate(x))))


class Bert(nn.Module):
    """BERT: places as a buffer of numbers, a pooler on the first token."""

    position_ids: torch.Tensor

    def __init__(self, config: Any, text: Any, width: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(text.vocabulary_size, 64), nn.Embedding(text.max_length, 64)
        self.register_buffer("position_ids", torch.arange(text.max_length)[None])
        self.norm = nn.LayerNorm(64)
        self.layers = nn.ModuleList(BertLayer(64, 4, 96) for _ in range(2))
        self.pooler, self.classifier = nn.Linear(64, 64), nn.Linear(64, width)

    def forward(self, tokens: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        places = self.position_ids[:, : tokens.shape[1]]
        x = self.norm(self.words(tokens) + self.positions(places))
        for layer in self.layers:
            x = layer(x, tokens != 0)
        return self.classifier(torch.tanh(self.pooler(x[:, 0])))


class TiedSettings(KindConfig):
    kind: Literal["own_tied"] = "own_tied"


class Tied(nn.Module):
    """A layer used under two names, a vector of its own and a layer with two kinds of norms."""

    def __init__(self, config: Any, image: Any, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(image.channels, 16, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(16, 1, 1) + 0.5)
        self.norm, self.renorm = nn.InstanceNorm2d(16, affine=True), nn.GroupNorm(16, 16)
        self.wide, self.hidden = nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 20)
        self.again, self.twin = nn.Linear(20, 20), nn.Linear(20, 20)
        self.twin.weight = self.again.weight
        self.classify = nn.Linear(20, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.first(x)).relu() * self.scale
        x = self.hidden(self.renorm(self.wide(x)).relu().mean((2, 3))).relu()
        return self.classify(self.twin(self.again(x).relu()).relu())


def _kind(settings: type[KindConfig], body: type[nn.Module], takes: str) -> ModelKind:
    name = settings.model_fields["kind"].default
    return ModelKind(name, f"{__name__}:{settings.__name__}", f"{__name__}:{body.__name__}", takes=(takes,))


KINDS = [
    _kind(UNetSettings, UNet, "image"),
    _kind(ViTSettings, ViT, "image"),
    _kind(FusedViTSettings, FusedViT, "image"),
    _kind(MobileNetSettings, MobileNet, "image"),
    _kind(TiedSettings, Tied, "image"),
    _kind(LstmSettings, LstmAttention, "text"),
    _kind(BertSettings, Bert, "text"),
]
