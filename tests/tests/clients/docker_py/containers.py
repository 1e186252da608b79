"""Containers by docker-py, as its users write it."""
import io
import socket
import tarfile
import threading

import docker

client = docker.from_env()
assert client.ping()
assert client.version()["ApiVersion"] == "1.53"
assert client.info()["OSType"] == "linux"

assert client.containers.run("busybox", "echo hello", remove=True) == b"hello\n"
both = ["sh", "-c", "echo out; echo err >&2"]
assert client.containers.run("busybox", both, remove=True, stdout=False, stderr=True) == b"err\n"
try:
    client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    raise AssertionError("a code is an error")
except docker.errors.ContainerError as error:
    assert (error.exit_status, error.stderr) == (3, b"bad\n"), error
try:
    client.containers.get("nope")
    raise AssertionError("there is none")
except docker.errors.NotFound as error:
    assert error.explanation == "No such container: nope", error
try:
    client.containers.create("nosuch:1", "true")
    raise AssertionError("there is no such image")
except docker.errors.ImageNotFound:
    pass
try:
    client.containers.run("127.0.0.1:1/nosuch:1", "true")
    raise AssertionError("nobody gives one")
except docker.errors.APIError as error:
    assert "cannot reach the registry" in error.explanation, error

one = client.containers.run(
    "busybox", "sleep 1000", detach=True, name="one", labels={"a": "b"}, environment=["E=f"], mem_limit="64m"
)
assert one.status == "created"
one.reload()
assert one.status == "running" and one.labels["a"] == "b"
assert [found.name for found in client.containers.list(filters={"label": "a=b"})] == ["one"]
assert client.containers.list(filters={"label": "a=c"}) == []

# Each is asked often: whoever reads an answer's head with a buffer must lose nothing of what follows it.
for _ in range(10):
    assert one.exec_run("echo hi") == (0, b"hi\n")
    code, (out, err) = one.exec_run(["sh", "-c", "echo o; echo e >&2; exit 4"], demux=True)
    assert (code, out, err) == (4, b"o\n", b"e\n")
    assert one.exec_run("tty", tty=True) == (0, b"/dev/pts/0\r\n")
assert list(one.exec_run(["sh", "-c", "echo 1; sleep 0.2; echo 2"], stream=True).output) == [b"1\n", b"2\n"]
assert one.exec_run(["sh", "-c", "echo $E $G"], environment={"G": "h"}).output == b"f h\n"
assert one.exec_run("nope").exit_code == 127

# A socket whose halves end by themselves.
sock = one.exec_run("cat", stdin=True, socket=True).output._sock
sock.sendall(b"ping\n")
sock.shutdown(socket.SHUT_WR)
heard = b""
while piece := sock.recv(4096):
    heard += piece
assert heard == b"\x01\0\0\0\0\0\0\5ping\n", heard

exec_id = client.api.exec_create(one.id, ["sh", "-c", "exit 6"])["Id"]
assert client.api.exec_inspect(exec_id)["Running"] is False
client.api.exec_start(exec_id)
assert client.api.exec_inspect(exec_id)["ExitCode"] == 6

one.pause()
one.reload()
assert one.status == "paused"
one.unpause()
one.update(mem_limit="128m", memswap_limit="128m")
one.rename("uno")
assert "sleep 1000" in one.top(ps_args="-o pid,args")["Processes"][0]
assert one.stats(stream=False)["memory_stats"]["limit"] == 128 << 20

packed = io.BytesIO()
with tarfile.open(fileobj=packed, mode="w") as archive:
    member = tarfile.TarInfo("file")
    member.size = 3
    archive.addfile(member, io.BytesIO(b"abc"))
assert one.put_archive("/tmp", packed.getvalue())
pieces, stat = one.get_archive("/tmp/file")
assert stat["size"] == 3 and stat["name"] == "file"
with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
    assert archive.extractfile("file").read() == b"abc"
assert {"Kind": 1, "Path": "/tmp/file"} in one.diff()
with tarfile.open(fileobj=io.BytesIO(b"".join(one.export()))) as archive:
    assert archive.extractfile("tmp/file").read() == b"abc"

# Whoever streams hears each line when it is said; whoever waits, the code.
two = client.containers.create("busybox", ["sh", "-c", "echo x; read line; echo got $line; exit 9"], stdin_open=True)
attached = two.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
codes = []
waiter = threading.Thread(target=lambda: codes.append(two.wait(condition="next-exit")["StatusCode"]))
waiter.start()
two.start()
attached._sock.sendall(b"that\n")
waiter.join(30)
assert codes == [9], codes
assert two.logs() == b"x\ngot that\n"
assert [line for line in two.logs(stream=True)] == [b"x\n", b"got that\n"]
assert two.attach(stream=False, logs=True) == b"x\ngot that\n"
two.remove()
assert list(client.containers.run("busybox", ["sh", "-c", "sleep 0.2; echo y"], stream=True, remove=True)) == [b"y\n"]

events = client.events(since=0, until=4000000000, decode=True, filters={"container": one.id})
assert next(events)["Action"] == "create"
events.close()
one.kill()
assert one.wait()["StatusCode"] == 137
one.start()
one.restart(timeout=0)
one.stop(timeout=0)
one.remove()
assert client.containers.prune()["SpaceReclaimed"] >= 0
print("all of it works")
