"""`scdepth train --strategy multi_worker` as processes on this machine."""

import hashlib
import json
import multiprocessing
import os
import socket

from scdepth_tf import cli, runs
from scdepth_tf.data import images
from tests import tiny_training

WORKERS = 2


def start(data, out, *options):
    """Both workers; the caller joins or kills them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.tiny_cluster"])
    arguments = ["train", str(data), "--out", str(out), *tiny_training.COMMAND]
    arguments += ["--strategy", "multi_worker"]
    arguments += ["--gradient-accumulation", "1", "--schedule", "constant"]
    arguments += options
    hosts = [f"localhost:{port}" for port in _free_ports()]
    processes = [
        context.Process(target=_work, args=(hosts, i, arguments, out))
        for i in range(WORKERS)
    ]
    for process in processes:
        process.start()
    return processes


def finish(data, out, *options):
    """Train to the end; both exit codes must be 0."""
    for i, process in enumerate(start(data, out, *options)):
        process.join()
        assert process.exitcode == 0, log_of(out, i).read_text()


def log_of(out, worker):
    """What all processes that were this worker said."""
    return out.with_name(f"{out.name}.{worker}.log")


def cuts_of(out, worker):
    """What this worker has read: lines of frame, zoom and offset."""
    return out.with_name(f"{out.name}.{worker}.cuts")


def _free_ports():
    sockets = [socket.socket() for _ in range(WORKERS)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _work(hosts, index, arguments, out):
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": hosts},
            "task": {"type": "worker", "index": index},
        }
    )
    with log_of(out, index).open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    models = []

    def remembered(*args):
        models.append(tiny_training.tiny_networks(*args))
        return models[0]

    load_cut = images.load_cut

    def recorded(file, size, zoom, offset):
        with cuts_of(out, index).open("a") as cuts:
            cuts.write(f"{file} {zoom} {offset}\n")
        return load_cut(file, size, zoom, offset)

    runs.build_model = remembered
    images.load_cut = recorded
    code = cli.main(arguments)
    digest = hashlib.sha256()
    for variable in models[0].variables:
        digest.update(variable.numpy().tobytes())
    os.write(1, f"\nweights {digest.hexdigest()}\n".encode())
    os._exit(code)
