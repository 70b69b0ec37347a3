# Copyright 2026 concerto_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""LitePT (Yue et al., 2025) in plain PyTorch, in float64, voxel by voxel and patch by patch."""

from __future__ import annotations

import itertools

import torch
from torch.nn import functional

from concerto_ros.ptv3.kernels.curves import curve_code


def features(state, config, feat, grid_coord, offset):
    """Features of each level, or with a decoder of each voxel, from the published formulas.

    ``state`` and ``config`` are those of a published file; (N, C) ``feat``, (N, 3) integer
    ``grid_coord`` and (B,) cumulative sizes.
    """
    model = _Model({name: value.double() for name, value in state.items()}, config)
    return model(feat.double(), grid_coord, offset)


class _Model:
    def __init__(self, state, config):
        self.state, self.config = state, config

    def __call__(self, feat, grid_coord, offset):
        config, state = self.config, self.state
        batch = torch.bucketize(torch.arange(len(feat)), offset, right=True)
        feat = convolution(feat, grid_coord, batch, state["embedding.stem.conv.weight"])
        feat = functional.gelu(self.batch_norm("embedding.stem.norm", feat))
        levels = []
        for stage in range(len(config["enc_depths"])):
            if stage:
                name = f"enc.enc{stage}.down"
                voxel = torch.cat([batch[:, None], grid_coord // config["stride"][stage - 1]], 1)
                voxel, cluster = torch.unique(voxel, dim=0, return_inverse=True)
                feat = self.linear(f"{name}.proj", feat)
                feat = torch.stack([feat[cluster == row].amax(0) for row in range(len(voxel))])
                feat = functional.gelu(self.batch_norm(f"{name}.norm.0", feat))
                batch, grid_coord = voxel[:, 0], voxel[:, 1:]
            else:
                cluster = None
            feat = self.blocks("enc", stage, feat, grid_coord, batch)
            levels.append((feat, grid_coord, batch, cluster))
        if config.get("enc_mode"):
            return [level[0] for level in levels]
        for stage in reversed(range(len(levels) - 1)):
            cluster = levels[stage + 1][3]
            skip, grid_coord, batch, _ = levels[stage]
            name = f"dec.dec{stage}.up"
            feat = (
                self.projection(f"{name}.proj_skip", skip)
                + self.projection(f"{name}.proj", feat)[cluster]
            )
            feat = self.blocks("dec", stage, feat, grid_coord, batch)
        return [feat]

    def linear(self, name, feat):
        return functional.linear(
            feat, self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        )

    def layer_norm(self, name, feat):
        return functional.layer_norm(
            feat, feat.shape[1:], self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        )

    def batch_norm(self, name, feat):
        mean, variance = self.state[f"{name}.running_mean"], self.state[f"{name}.running_var"]
        standard = (feat - mean) / torch.sqrt(variance + 1e-3)
        return standard * self.state[f"{name}.weight"] + self.state[f"{name}.bias"]

    def projection(self, name, feat):
        return functional.gelu(self.batch_norm(f"{name}.1", self.linear(f"{name}.0", feat)))

    def blocks(self, part, stage, feat, grid_coord, batch):
        for block in range(self.config[f"{part}_depths"][stage]):
            name = f"{part}.{part}{stage}.block{block}"
            feat = self.block(name, part, stage, block, feat, grid_coord, batch)
        return feat

    def block(self, name, part, stage, block, feat, grid_coord, batch):
        config, state = self.config, self.state
        if config[f"{part}_conv"][stage]:
            conv = f"{name}.conv.0"
            mixed = convolution(feat, grid_coord, batch, state[f"{conv}.weight"])
            mixed = self.linear(f"{name}.conv.1", mixed + state[f"{conv}.bias"])
            feat = feat + self.layer_norm(f"{name}.conv.2", mixed)
        else:
            feat = self.layer_norm(f"{name}.norm0.0", feat)
        if not config[f"{part}_attn"][stage]:
            return feat
        order = config["order"][block % len(config["order"])]

        def attention(values):
            return self.attention(name, part, stage, order, values, grid_coord, batch)

        def mlp(values):
            hidden = functional.gelu(self.linear(f"{name}.mlp.0.fc1", values))
            return self.linear(f"{name}.mlp.0.fc2", hidden)

        for branch, norm in ((attention, f"{name}.norm1.0"), (mlp, f"{name}.norm2.0")):
            if config.get("pre_norm", True):
                feat = feat + branch(self.layer_norm(norm, feat))
            else:
                feat = self.layer_norm(norm, feat + branch(feat))
        return feat

    def attention(self, name, part, stage, order, feat, grid_coord, batch):
        heads = self.config[f"{part}_num_head"][stage]
        patch = self.config[f"{part}_patch_size"][stage]
        base = self.config[f"{part}_rope_freq"][stage]
        depth = int(grid_coord.max() + 1).bit_length()
        code = curve_code(grid_coord, depth, order)
        qkv = self.linear(f"{name}.attn.qkv", feat).unflatten(1, (3, heads, -1))
        query, key = (rotated(qkv[:, part], grid_coord, base) for part in (0, 1))
        value = qkv[:, 2]
        scale = self.config.get("qk_scale") or value.shape[2] ** -0.5
        out = torch.empty_like(value)
        for cloud in range(int(batch.max()) + 1):
            rows = torch.nonzero(batch == cloud)[:, 0]
            rows = rows[torch.argsort(code[rows])]
            for start in range(0, len(rows), patch):
                queries = rows[start : start + patch]
                # Too few rows for a patch borrow those before them, if there are any.
                keys = queries if len(queries) == patch else rows[max(0, len(rows) - patch) :]
                for head in range(heads):
                    scores = query[queries, head] @ key[keys, head].T * scale
                    out[queries, head] = scores.softmax(1) @ value[keys, head]
        return self.linear(f"{name}.attn.proj", out.flatten(1))


def rotated(vectors, grid_coord, base):
    """Rotary embedding of (N, H, D) by (N, 3): a third for each axis, whose halves turn."""
    quarter = vectors.shape[2] // 6
    out = torch.empty_like(vectors)
    for axis in range(3):
        first = axis * 2 * quarter
        for pair in range(quarter):
            angle = grid_coord[:, axis].double() / base ** (pair / quarter)
            cos, sin = angle.cos()[:, None], angle.sin()[:, None]
            u, v = vectors[..., first + pair], vectors[..., first + quarter + pair]
            out[..., first + pair] = u * cos - v * sin
            out[..., first + quarter + pair] = v * cos + u * sin
    return out


def convolution(feat, grid_coord, batch, weight):
    """Submanifold convolution by a (C_out, K, K, K, C_in) kernel, without a bias."""
    reach = weight.shape[1] // 2
    voxels = torch.cat([batch[:, None], grid_coord], 1).tolist()
    row_of = {tuple(voxel): row for row, voxel in enumerate(voxels)}
    out = feat.new_zeros(len(feat), len(weight))
    for dx, dy, dz in itertools.product(range(-reach, reach + 1), repeat=3):
        matrix = weight[:, dx + reach, dy + reach, dz + reach]
        pairs = [
            (row, row_of[near])
            for row, (b, x, y, z) in enumerate(voxels)
            if (near := (b, x + dx, y + dy, z + dz)) in row_of
        ]
        if pairs:
            target, source = torch.tensor(pairs).T
            out[target] += feat[source] @ matrix.T
    return out
