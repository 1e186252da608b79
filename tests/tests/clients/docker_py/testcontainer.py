"""testcontainers, without its own reaper, which is an image that is not here."""
import urllib.request

from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

testcontainers_config.ryuk_disabled = True

script = "echo ready; echo hi > /index.html; httpd -f -p 80 -h /"
web = DockerContainer("busybox").with_command(["sh", "-c", script]).with_exposed_ports(80)
with web.waiting_for(LogMessageWaitStrategy("ready")) as running:
    host, port = running.get_container_host_ip(), running.get_exposed_port(80)
    for _ in range(50):
        try:
            said = urllib.request.urlopen(f"http://{host}:{port}/").read()
            break
        except OSError:
            pass
    assert said == b"hi\n", said
    done = running.exec(["sh", "-c", "echo x; exit 2"])
    assert (done.exit_code, done.output) == (2, b"x\n")

with Network() as network:
    named = DockerContainer("busybox").with_command("sleep 1000").with_network(network).with_network_aliases("db")
    with named:
        other = DockerContainer("busybox").with_command("sleep 1000").with_network(network)
        with other as running:
            assert running.exec("ping -c 1 db").exit_code == 0
print("all of it works")
