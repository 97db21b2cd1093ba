"""PyTorch's side of the benchmarks; prints one JSON object. Usage: torch_peer.py THREADS

The training step has the size of bench/step.ts: a GPT backbone with one linear head for each field of a plan.
Debian: apt-get install python3-torch libopenblas0-pthread (without the latter it is 60 times slower).
"""
import json
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

B, T, D, VOCABULARY, C, HEADS, LAYERS, DROPOUT = 256, 32, 4, 50304, 256, 4, 2, 0.1


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.c_attn, self.c_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.c_fc, self.c_out = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)
        self.register_buffer("causal", torch.ones(T, T, dtype=torch.bool).tril())

    def forward(self, x):
        heads = lambda t: t.view(B, T, HEADS, C // HEADS).transpose(1, 2)
        q, k, v = map(heads, self.c_attn(self.ln_1(x)).split(C, dim=2))
        scores = (q @ k.transpose(-2, -1)) / (C // HEADS) ** 0.5
        weights = F.dropout(scores.masked_fill(~self.causal, float("-inf")).softmax(-1), DROPOUT)
        y = (weights @ v).transpose(1, 2).reshape(B, T, C)
        x = x + F.dropout(self.c_proj(y), DROPOUT)
        return x + F.dropout(self.c_out(F.gelu(self.c_fc(self.ln_2(x)))), DROPOUT)


class Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, C), nn.Embedding(T, C)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.ln_f = nn.LayerNorm(C)
        self.heads = nn.ModuleList(nn.Linear(C, n) for n in (2 * D, 2 * D, 2 * D * D, D))

    def forward(self, tokens):
        x = F.dropout(self.wte(tokens) + self.wpe.weight, DROPOUT)
        hidden = self.ln_f(self.blocks(x))
        V_mag, V_sign, O, G = (head(hidden) for head in self.heads)
        return V_mag.abs(), V_sign.tanh(), O, G.sigmoid()


def median_seconds(run, repeats, warm=2):
    times = []
    for i in range(repeats + warm):
        begin = time.perf_counter()
        run()
        if i >= warm:
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def step_seconds():
    torch.manual_seed(0)
    model = Predictor()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=1e-2)
    tokens = torch.randint(0, 50257, (B, T))
    targets = [
        torch.rand(B, T, 2 * D),
        torch.randint(0, 2, (B, T, 2 * D)) * 2.0 - 1,
        torch.randint(-1, 2, (B, T, 2 * D * D)).float(),
        torch.randint(0, 2, (B, T, D)).float(),
    ]

    def step():
        loss = sum(F.mse_loss(a, b) for a, b in zip(model(tokens), targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return median_seconds(step, 7)


def matmul_seconds():
    a, b, out = torch.randn(8192, 256), torch.randn(256, 1024), torch.empty(8192, 1024)
    return median_seconds(lambda: torch.mm(a, b, out=out), 15, warm=3)


def graph_seconds():
    """One small graph, 2.5 · 3 + 1, executed by tensor operations as the original does, with its gradient."""
    O = torch.zeros(2, 5)
    O[0, 0] = O[0, 1] = O[1, 2] = O[1, 3] = 1
    magnitudes = torch.tensor([2.5, 3.0, 1.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)

    def run():
        values = magnitudes
        for i, gate in enumerate((0.0, 1.0)):
            row = O[i].double()
            linear = (row * values).sum()
            log = (row * values.abs().clamp_min(1e-300).log()).sum().exp()
            values = torch.cat([values[: 3 + i], (gate * linear + (1 - gate) * log).view(1), values[4 + i :]])
        return values[4]

    return median_seconds(run, 200, warm=20)


torch.set_num_threads(int(sys.argv[1]))
print(json.dumps({"version": torch.__version__, "stepSeconds": step_seconds(), "matmulSeconds": matmul_seconds(), "graphSeconds": graph_seconds()}))
