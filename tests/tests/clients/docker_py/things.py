"""Images, networks and volumes by docker-py."""
import io
import tarfile

import docker

client = docker.from_env()

image = client.images.get("busybox")
assert image.tags == ["busybox:latest"] and image.attrs["Os"] == "linux"
assert image.tag("mine", "2")
assert "mine:2" in [tag for found in client.images.list() for tag in found.tags]
assert client.images.list(name="mine")[0].id == image.id
saved = b"".join(client.images.get("mine:2").save(named="mine:2"))
client.images.remove("mine:2")
assert client.images.load(saved)[0].tags.count("mine:2") == 1
assert image.history()
one = client.containers.run("busybox", ["sh", "-c", "echo made > /made"], detach=True)
one.wait()
made = one.commit("made", "1", changes="CMD cat /made")
assert client.containers.run("made:1", remove=True) == b"made\n"
one.remove()
client.images.remove(made.id)
client.images.remove("mine:2")
for name in ("127.0.0.1:1/nope", "nope:1"):
    try:
        client.images.get(name)
        raise AssertionError("there is no such image")
    except docker.errors.ImageNotFound:
        pass
try:
    client.images.pull("127.0.0.1:1/nope", "1")
    raise AssertionError("nobody listens there")
except docker.errors.APIError:
    pass
try:
    client.images.build(fileobj=io.BytesIO(b"FROM busybox"))
    raise AssertionError("nothing is built yet")
except docker.errors.APIError as error:
    assert error.status_code == 501 and "build" in error.explanation, error

net = client.networks.create("n1", labels={"l": "m"}, check_duplicate=True)
assert [found.name for found in client.networks.list(filters={"label": "l=m"})] == ["n1"]
two = client.containers.run("busybox", "sleep 1000", detach=True, name="two", network="n1")
assert client.containers.run("busybox", "ping -c 1 two", network="n1", remove=True)
net.disconnect(two)
net.connect(two, aliases=["dos"])
net.reload()
assert [found.name for found in net.containers] == ["two"]
two.remove(force=True)
net.remove()

volume = client.volumes.create("v1", labels={"l": "m"})
where = {"v1": {"bind": "/data", "mode": "rw"}}
client.containers.run("busybox", ["sh", "-c", "echo kept > /data/file"], volumes=where, remove=True)
assert client.containers.run("busybox", "cat /data/file", volumes=where, remove=True) == b"kept\n"
assert [found.name for found in client.volumes.list(filters={"label": "l=m"})] == ["v1"]
volume.remove()
try:
    client.volumes.get("v1")
    raise AssertionError("it was removed")
except docker.errors.NotFound:
    pass
assert client.df()
client.images.prune()
client.networks.prune()
client.volumes.prune()
print("all of it works")
