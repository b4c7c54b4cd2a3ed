"""Torch on a GPU: the exported program, constants computed once, a CUDA graph for each batch size.

Also what runs the networks that TensorRT compiles: tensors go to the GPU and back alike.
"""

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

import torch
from torch import Tensor, fx, nn
from torch.export.passes import move_to_device_pass
from torch.fx.passes.split_module import split_module

from engines.job import Job, UnsupportedError
from engines.manifest import PROGRAM
from engines.runtime import Batch, Outputs, in_parts

Network = Callable[[Tensor], tuple[Tensor, ...]]
"""Rows (B, ...) on the device → what the network gives (B, ...) there."""

_WARM_UPS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Size:
    """Fixed places in memory for a batch of one size, and what computes from one to the other."""

    host: Tensor
    given: Tensor
    made: tuple[Tensor, ...]
    run: Callable[[], None]


class Cuda:
    """A network on a GPU (or, to try it, torch's CPU), for batches padded to powers of two."""

    batches = True

    def __init__(
        self, network: Network, example: Tensor, job: Job, name: str, *, graphs: bool = True
    ) -> None:
        """Prepare batches of 1, 2, 4, … rows like ``example`` (1, ...) on its device."""
        self.name, self._most, self._device = name, job.max_batch, example.device
        self._given, most = job.given, job.max_batch
        self._graphs = graphs and self._device.type == "cuda"
        self._one_at_a_time = threading.Lock()
        sizes = sorted({*(1 << i for i in range(most.bit_length())), most})
        with self._on_device():
            self._sizes = {n: self._prepare(network, example, n) for n in sizes if n <= most}

    def __call__(self, batch: Batch) -> Outputs:
        """Return what the network gives for a batch (B, ...)."""
        with self._one_at_a_time, self._on_device():
            return in_parts(self._run, batch, self._most)

    def _run(self, batch: Batch) -> Outputs:
        rows = len(batch)
        size = self._sizes[min(n for n in self._sizes if n >= rows)]
        size.host[:rows] = torch.from_numpy(batch)
        size.given.copy_(size.host, non_blocking=True)
        size.run()
        made = [each[:rows].cpu().numpy().copy() for each in size.made]
        return dict(zip(self._given, made, strict=False))  # `sequence` is not of every network

    def _on_device(self) -> Any:
        return torch.inference_mode() if self._device.type == "cpu" else _OnGpu(self._device)

    def _prepare(self, network: Network, example: Tensor, rows: int) -> _Size:
        given = example.expand(rows, *example.shape[1:]).contiguous()
        host = torch.zeros_like(given, device="cpu")  # rows of padding are looked up, too
        if self._device.type == "cuda":
            host = host.pin_memory()
        made = _warm(network, given)
        if not self._graphs:
            made = tuple(map(torch.empty_like, made))

            def compute() -> None:
                for place, value in zip(made, network(given), strict=True):
                    place.copy_(value)

            return _Size(host, given, made, compute)
        graph = torch.cuda.CUDAGraph()
        # Others may use the GPU meanwhile: an engine is swapped while the old one judges.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            made = network(given)
        return _Size(host, given, made, graph.replay)


class _OnGpu:
    """Inference on one GPU, whatever thread calls."""

    def __init__(self, device: torch.device) -> None:
        self._within = (torch.inference_mode(), torch.cuda.device(device))

    def __enter__(self) -> None:
        for each in self._within:
            each.__enter__()

    def __exit__(self, *why: Any) -> None:
        for each in reversed(self._within):
            each.__exit__(*why)


def _warm(network: Network, given: Tensor) -> tuple[Tensor, ...]:
    """Let libraries choose and allocate what they need, on a stream of its own as graphs demand."""
    if given.device.type == "cpu":
        return network(given)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UPS):
            made = network(given)
    torch.cuda.current_stream().wait_stream(stream)
    return made


def make(job: Job) -> None:
    """Check that the bundle holds the program; it is its own plan."""
    if not (job.bundle / PROGRAM).is_file():
        raise UnsupportedError(f"the bundle has no {PROGRAM}; export it again")


def load(job: Job) -> Cuda:
    """Load the bundle's program on the job's GPU, or on torch's CPU without one."""
    device = device_of(job)
    network, example = network_of(job, device), example_of(job, device)
    # fp32 means it: TF32 keeps ten bits. Without `enabled`, there would be no cuDNN at all.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return Cuda(network, example, job, f"torch {device} {job.precision}")


def device_of(job: Job) -> torch.device:
    """Return torch's name of the job's GPU."""
    return torch.device(f"cuda:{job.gpu.index}" if job.gpu else "cpu")


def example_of(job: Job, device: torch.device) -> Tensor:
    """Return one row (1, ...) as the network takes it."""
    words = len(job.shape) == 2  # buckets; all else has more axes
    return torch.zeros((1, *job.rows), dtype=torch.int64 if words else torch.float32, device=device)


def network_of(job: Job, device: torch.device) -> nn.Module:
    """Return the bundle's network on a device, folded, its body in the job's precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own doing
        program = move_to_device_pass(torch.export.load(job.bundle / PROGRAM), device)
        module = _folded(program.module(check_guards=False))
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        embedding = job.given.index("embedding")
        return module if job.precision == "fp32" else _half_body(module, embedding, device)


def program_of(job: Job, device: torch.device) -> torch.export.ExportedProgram:
    """Return the network as a program that says of every tensor in which precision it is."""
    network = network_of(job, device)
    example = example_of(job, device).expand(2, *job.rows).contiguous()
    batch = torch.export.Dim("B", min=1, max=job.max_batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        program = torch.export.export(network, (example,), dynamic_shapes=({0: batch},))
        typed: torch.export.ExportedProgram = program.run_decompositions()
    return typed


def _folded(module: fx.GraphModule) -> fx.GraphModule:
    """Compute once what does not depend on the input, such as weights out of few bits."""
    known: dict[fx.Node, Any] = {}
    graph = module.graph
    with torch.inference_mode(mode=False), torch.no_grad():
        for node in list(graph.nodes):
            if node.target is torch.ops.aten._assert_tensor_metadata.default:
                graph.erase_node(node)
            elif node.op == "get_attr":
                known[node] = attrgetter(str(node.target))(module)
            elif node.op == "call_function" and set(node.all_input_nodes) <= known.keys():
                arguments = fx.node.map_arg((node.args, node.kwargs), known.__getitem__)
                known[node] = node.target(*arguments[0], **arguments[1])
    for i, (node, value) in enumerate(known.items()):
        needed = any(user not in known for user in node.users)
        if needed and node.op == "call_function" and isinstance(value, Tensor):
            module.register_buffer(f"folded_{i}", value)
            with graph.inserting_before(node):
                node.replace_all_uses_with(graph.get_attr(f"folded_{i}"))
    graph.eliminate_dead_code()
    module.recompile()
    return module


def _half_body(module: fx.GraphModule, which: int, device: torch.device) -> nn.Module:
    """Compute what the embedding, of all it gives the ``which``, depends on in half precision, and
    the rest in single."""
    end = next(node for node in module.graph.nodes if node.op == "output")
    body, waiting = set(), [end.args[0][which]]
    while waiting:
        node = waiting.pop()
        if node not in body:
            body.add(node)
            waiting += node.all_input_nodes
    halves = split_module(module, module, lambda node: 0 if node in body else 1)
    halves.submod_0 = _Half(halves.submod_0, device.type)
    return halves


class _Half(nn.Module):
    """A part of a network in half precision; what it gives is single again, but for masks."""

    def __init__(self, part: Any, kind: str) -> None:
        super().__init__()
        self.part, self.kind = part, kind

    def forward(self, *given: Tensor) -> Any:
        """Whatever the part takes → what it gives, numbers in single precision."""
        with torch.autocast(self.kind, dtype=torch.float16, cache_enabled=False):
            made = self.part(*given)
        return _single(made) if isinstance(made, Tensor) else tuple(map(_single, made))


def _single(made: Tensor) -> Tensor:
    return made.float() if made.is_floating_point() else made
