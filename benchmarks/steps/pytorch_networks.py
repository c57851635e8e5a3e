"""The networks of `keras_zsharp.models`, in PyTorch's terms; they have as many parameters."""

import functools

import torch
from torch import nn
from torch.nn import functional


def conv_bn(inputs, outputs, stride=1, bias=False):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias), nn.BatchNorm2d(outputs)
    )


def dense():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * 32 * 32, 128), nn.ReLU(inplace=True), nn.Linear(128, 10)
    )


def small_cnn():
    layers, inputs = [], 3
    for outputs in (32, 64):
        for _ in range(2):
            layers += [conv_bn(inputs, outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2) if outputs == 32 else nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride)
        self.second = conv_bn(outputs, outputs)
        self.stride, self.new = stride, outputs - inputs

    def forward(self, x):
        y = self.second(functional.relu(self.first(x), inplace=True))
        x = x[:, :, :: self.stride, :: self.stride]
        if self.new:
            x = functional.pad(x, (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))
        return functional.relu(x + y, inplace=True)


def resnet(depth):
    blocks, inputs = [conv_bn(3, 16), nn.ReLU(inplace=True)], 16
    for stage, outputs in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            blocks.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


resnet20 = functools.partial(resnet, 20)
resnet56 = functools.partial(resnet, 56)
resnet110 = functools.partial(resnet, 110)


def vgg16_bn():
    layers, inputs = [], 3
    for outputs, count in zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True):
        for _ in range(count):
            layers += [conv_bn(inputs, outputs, bias=True), nn.ReLU(inplace=True)]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


class ViT(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.patches = nn.Conv2d(3, channels, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, channels))
        self.positions = nn.Parameter(torch.randn(1, 65, channels) * 0.02)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    channels,
                    heads,
                    dim_feedforward=channels,
                    dropout=0.0,
                    activation="gelu",
                    batch_first=True,
                    norm_first=True,
                )
                for _ in range(7)
            )
        )
        self.norm = nn.LayerNorm(channels)
        self.head = nn.Linear(channels, 10)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x)[:, 0]))


vit_7_8_8_384 = functools.partial(ViT, 384, 8)
vit_7_8_12_768 = functools.partial(ViT, 768, 12)
