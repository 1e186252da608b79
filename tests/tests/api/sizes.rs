//! How much there is: sizes of containers, and what all takes on disk.

use crate::Served;

#[test]
fn of_containers() {
    let api = Served::new("api-sizes");
    api.host
        .sh("bulkhead run --name one busybox sh -c 'head -c 2000000 /dev/zero > /f; ln /f /g; ln -s / /h'")
        .prints("");
    let image = api.json("/images/busybox/json")["Size"].as_i64().unwrap();
    // The link counts the byte that it holds.
    let own = 2_000_001;
    for (path, at) in [("/containers/json?all=1&size=1", "/0"), ("/containers/one/json?size=true", "")] {
        let all = api.json(path);
        let one = all.pointer(at).unwrap();
        assert_eq!((&one["SizeRw"], &one["SizeRootFs"]), (&own.into(), &(own + image).into()), "{path}");
    }
    for path in ["/containers/json?all=1", "/containers/one/json", "/containers/one/json?size=0"] {
        api.http("GET", path, "").run().shows("200").hides("SizeRw").hides("SizeRootFs");
    }
    for docker in api.dockers() {
        api.by(&docker, "ps -a -s").run().shows("SIZE").shows("2MB (virtual ");
        api.by(&docker, "ps -a --format '{{.Size}}'").run().shows("2MB (virtual ");
        api.by(&docker, "inspect -s --format '{{.SizeRw}} {{.SizeRootFs}}' one")
            .prints(&format!("{own} {}", own + image));
    }
    let ours = api.host.bulkhead(["ps", "-a", "-s"]).stdout();
    assert!(ours.lines().next().unwrap().ends_with("SIZE") && ours.contains("2MB (virtual "), "{ours}");
    api.host.bulkhead(["ps", "-a"]).run().hides("virtual");
    api.host.bulkhead(["ps", "-a", "--format", "{{.Size}}"]).run().shows("2MB (virtual ");
    api.host
        .bulkhead(["inspect", "-s", "--format", "{{.SizeRw}} {{.SizeRootFs}}", "one"])
        .prints(&format!("{own} {}", own + image));
    api.host.bulkhead(["inspect", "one"]).run().hides("SizeRw");
    api.finish();
}

#[test]
fn of_what_images_share() {
    let api = Served::new("api-shared-sizes");
    api.host
        .sh("bulkhead run --name one busybox sh -c 'head -c 9000 /dev/zero > /f'; bulkhead commit one child > /dev/null; bulkhead rm one")
        .prints("one");
    let images = api.json("/images/json?shared-size=1");
    let base = api.json("/images/busybox/json")["Size"].as_i64().unwrap();
    for image in images.as_array().unwrap() {
        assert_eq!(image["SharedSize"], base, "{image}");
        assert!(image["Size"].as_i64().unwrap() >= base, "{image}");
    }
    assert_eq!(api.json("/images/json")[0]["SharedSize"], -1);
    api.finish();
}

#[test]
fn of_all_by_kinds_and_versions() {
    let api = Served::new("api-df");
    api.host
        .sh("bulkhead run --name one -v data:/data busybox sh -c 'head -c 1000 /dev/zero > /f; head -c 7000 /dev/zero > /data/f'")
        .prints("");
    for docker in api.dockers() {
        let df = api.by(
            &docker,
            "system df --format '{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}'",
        );
        df.run()
            .shows("Containers|1|0|1kB|1kB (100%)")
            .shows("Local Volumes|1|1|7kB|0B (0%)")
            .shows("Build Cache|0|0|0B|0B");
        api.by(&docker, "system df -v").run().shows("data").shows("7kB").shows("one").shows("busybox");
    }
    let new = api.json("/system/df");
    assert_eq!(new["ContainerUsage"]["TotalSize"], 1000);
    assert_eq!(new["VolumeUsage"]["TotalSize"], 7000);
    assert_eq!(new["ImageUsage"]["TotalCount"], 1);
    assert!(new["ContainerUsage"].get("Items").is_none() && new.get("LayersSize").is_none(), "{new}");
    assert_eq!(api.json("/system/df?verbose=1")["VolumeUsage"]["Items"][0]["Name"], "data");
    let old = api.json("/v1.51/system/df");
    assert!(old["LayersSize"].as_i64().unwrap() > 0 && old["BuildCache"].is_array(), "{old}");
    assert_eq!(old["Volumes"][0]["UsageData"]["Size"], 7000);
    assert_eq!(old["Containers"][0]["SizeRw"], 1000);
    let some = api.json("/system/df?type=volume&type=container");
    assert!(some.get("ImageUsage").is_none() && some.get("VolumeUsage").is_some(), "{some}");
    assert!(some.get("ContainerUsage").is_some() && some.get("BuildCacheUsage").is_none(), "{some}");
    api.http("GET", "/system/df?type=odd", "").prints("400\n{\"message\":\"unknown object type: odd\"}");
    api.finish();
}
