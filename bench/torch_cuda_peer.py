"""PyTorch's side of bench/cuda.ts; prints one JSON object. Usage: torch_cuda_peer.py BATCH SIZE REPEATS PARTS [DEVICE]

PARTS, with commas between: matmul, products SIZE³ by torch.matmul (cuBLAS); step, a training step of the same GPT on the same tokens, in TF32,
and in bf16 under autocast; each as it is, compiled, and compiled with mode="reduce-overhead" (CUDA graphs). Milliseconds are medians; null: it did not run.
"""
import json
import statistics
import sys
import time

try:
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(f"no PyTorch: {error}")

BATCH, SIZE, REPEATS = map(int, sys.argv[1:4])
PARTS = sys.argv[4].split(",")
DEVICE = sys.argv[5] if len(sys.argv) > 5 else "cuda"
T, C, V, HEADS = 32, 256, 50304, 4


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def median_ms(run, warm=5):
    times = []
    for i in range(warm + REPEATS):
        wait()
        begun = time.perf_counter()
        run()
        wait()
        if i >= warm:
            times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def attempt(measure):
    try:
        return measure()
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return None


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1, self.l2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down, self.drop = nn.Linear(C, 4 * C), nn.Linear(4 * C, C), nn.Dropout(0.1)

    def forward(self, x):
        q, k, v = [t.view(BATCH, T, HEADS, C // HEADS).transpose(1, 2) for t in self.qkv(self.l1(x)).split(C, 2)]
        y = nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1, is_causal=True)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(BATCH, T, C)))
        return x + self.drop(self.down(nn.functional.gelu(self.up(self.l2(x)))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe, self.drop = nn.Embedding(V, C), nn.Embedding(T, C), nn.Dropout(0.1)
        self.blocks, self.norm = nn.ModuleList([Block(), Block()]), nn.LayerNorm(C)

    def forward(self, tokens):
        x = self.drop(self.wte(tokens) + self.wpe(torch.arange(T, device=DEVICE)))
        for block in self.blocks:
            x = block(x)
        return self.norm(x).sum()


def product(dtype, precision):
    torch.set_float32_matmul_precision(precision)
    a, b = (torch.randn(SIZE, SIZE, device=DEVICE, dtype=dtype) for _ in range(2))
    out = torch.empty(SIZE, SIZE, device=DEVICE, dtype=dtype)
    return 2 * SIZE**3 / median_ms(lambda: torch.matmul(a, b, out=out)) / 1e9


# By Zipf's law: the token of rank r in proportion to 1 / r, as in bench/cuda.ts.
TOKENS = [int(V ** (i * 0.6180339887498949 % 1)) - 1 for i in range(BATCH * T)]


def step(mode, is_bf16):
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = Model().to(DEVICE)
    forward = model if mode is None else torch.compile(model, mode=mode)
    fused = {"fused": True} if DEVICE == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01, **fused)
    tokens = torch.tensor(TOKENS, device=DEVICE).view(BATCH, T)

    def run():
        optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16, enabled=is_bf16):
            loss = forward(tokens)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return median_ms(run)


def best(is_bf16):
    modes = {"eager": None, "compiled": "default", "reduceOverhead": "reduce-overhead"}
    times = {name: attempt(lambda: step(mode, is_bf16)) for name, mode in modes.items()}
    return {**times, "best": min((t for t in times.values() if t is not None), default=None)}


result = {"version": torch.__version__}
if "matmul" in PARTS:
    result["teraflops"] = {
        "f32": attempt(lambda: product(torch.float32, "highest")),
        "tf32": attempt(lambda: product(torch.float32, "high")),
        "bf16": attempt(lambda: product(torch.bfloat16, "high")),
    }
if "step" in PARTS:
    result["stepMs"] = {"tf32": best(False), "bf16": best(True)}
print(json.dumps(result))
