//! Images, volumes and networks by the docker command.

use crate::Served;

#[test]
fn images_are_looked_at_named_and_removed() {
    let api = Served::new("api-images");
    api.docker("images --format '{{.Repository}}:{{.Tag}}'").prints("busybox:latest");
    api.docker("tag busybox localhost:5000/a/b:1").run().succeeds();
    let id = api.docker("image inspect --format '{{.Id}}' busybox").stdout();
    api.docker("image inspect --format '{{.Id}}' localhost:5000/a/b:1").prints(&id);
    assert!(api.docker("history --quiet localhost:5000/a/b:1").stdout().lines().count() >= 1);
    api.docker("rmi localhost:5000/a/b:1").prints("Untagged: localhost:5000/a/b:1");
    api.docker("rmi localhost:5000/a/b:1").fails(1, "No such image");
    api.docker("image inspect none").fails(1, "No such image: none");
    api.http("POST", "/images/busybox/tag", "").run().shows("400");
    api.http("POST", "/images/a/b/push", "").run().shows("404").shows("does not exist locally");
    api.finish();
}

#[test]
fn volumes_are_made_and_removed() {
    let api = Served::new("api-volumes");
    api.docker("volume create --label a=b data").prints("data");
    api.host.bulkhead(["volume", "inspect", "--format", "{{.Labels.a}}", "data"]).prints("b");
    api.docker("volume inspect --format '{{.Name}} {{.Driver}}' data").prints("data local");
    api.docker("volume ls --quiet").prints("data");
    api.docker("create --name one -v data:/data busybox true").run().succeeds();
    api.docker("volume rm data").fails(1, "in use");
    api.docker("rm one").prints("one");
    api.docker("volume rm data").prints("data");
    api.docker("volume rm data").fails(1, "no such volume");
    api.docker("volume rm --force data").prints("data");
    api.docker("volume create --driver nosuch x").run().ends_with(1);
    api.finish();
}

#[test]
fn networks_are_made_and_connected() {
    let api = Served::new("api-networks");
    api.docker("network create --subnet 10.77.0.0/24 --label a=b own").run().succeeds();
    api.docker("network ls --format '{{.Name}}'").run().shows("own").shows("bridge");
    api.docker("network inspect --format '{{(index .IPAM.Config 0).Subnet}}' own").prints("10.77.0.0/24");
    api.host.run_detached(["--name", "one", "busybox", "sleep", "1000"]);
    api.docker("network connect --ip 10.77.0.9 own one").run().succeeds();
    api.docker("inspect --format '{{.NetworkSettings.Networks.own.IPAddress}}' one").prints("10.77.0.9");
    api.docker("network rm own").run().ends_with(1);
    api.docker("network disconnect own one").run().succeeds();
    api.docker("network rm own").prints("own");
    api.http("GET", "/networks/own", "").prints("404\n{\"message\":\"network own not found\"}");
    api.host.bulkhead(["rm", "-f", "one"]).prints("one");
    api.finish();
}
