//! docker compose: a project of several services, from `up` to `down -v`.

use bulkhead_tests::wait::until;
use bulkhead_tests::{Served, skip};

use crate::{SOCKET, fetched};

const PROJECT: &str = r#"
services:
  web:
    image: busybox
    command: sh -c 'echo "from $$HOSTNAME $$WORD" > /index.html; echo serving; httpd -f -p 80 -h /'
    hostname: web
    environment: {WORD: compose}
    depends_on:
      db: {condition: service_healthy}
    ports: ["18080:80"]
    volumes: ["data:/data"]
    networks: [front]
    stop_grace_period: 0s
  db:
    image: busybox
    command: sh -c 'sleep 0.3; touch /ready; sleep 1000'
    stop_grace_period: 0s
    healthcheck:
      test: ["CMD", "test", "-e", "/ready"]
      interval: 200ms
      retries: 50
    networks: [front]
  extra:
    image: busybox
    profiles: [more]
    command: sh -c 'echo from extra; exit 3'
volumes: {data: {}}
networks: {front: {}}
"#;

#[test]
fn a_project_comes_up_and_goes_down() {
    let api = Served::new("compose");
    let Some(folder) = fetched(&api) else {
        api.finish();
        skip!("docker compose could not be fetched");
    };
    api.host
        .sh("mkdir -p /tmp/project /tmp/config/cli-plugins; cat > /tmp/project/compose.yaml")
        .stdin(PROJECT)
        .run()
        .succeeds();
    api.host.sh(&format!("ln -s {folder}/compose/docker-compose /tmp/config/cli-plugins/")).run().succeeds();
    let compose = |words: &str| {
        api.host.sh(&format!(
            "cd /tmp/project; DOCKER_CONFIG=/tmp/config DOCKER_HOST=unix://{SOCKET} docker compose --progress quiet {words}"
        ))
    };
    compose("version").run().succeeds();
    compose("up --detach").timeout(120).run().succeeds();
    compose("ps --format '{{.Service}} {{.State}}{{with .Health}} {{.}}{{end}}'")
        .prints("db running healthy\nweb running");
    api.host.sh("curl -sS http://127.0.0.1:18080/").prints("from web compose");
    // Services find each other by their names.
    compose("exec -T db wget -qO- http://web/").prints("from web compose");
    compose("exec -T web sh -c 'echo kept > /data/file; exit 4'").run().ends_with(4);
    until("its words have arrived", || compose("logs --no-log-prefix web").stdout() == "serving");
    compose("up --detach --scale db=3").timeout(120).run().succeeds();
    compose("ps -q db | wc -l").prints("3");
    compose("run --rm extra").run().shows("from extra").ends_with(3);
    compose("--profile more up extra").run().shows("extra-1  | from extra").shows("exited with code 3");
    compose("top web").run().shows("httpd");
    compose("config --services").run().shows("web").shows("db");
    compose("cp web:/index.html /tmp/index.html").run().succeeds();
    api.host.sh("cat /tmp/index.html").prints("from web compose");
    compose("stop").run().succeeds();
    compose("ps -q").prints("");
    compose("start").run().succeeds();
    // It is the same container, with its volume.
    compose("exec -T web cat /data/file").prints("kept");
    compose("restart web").run().succeeds();
    compose("kill db").run().succeeds();
    compose("--profile more down --volumes").timeout(120).run().succeeds();
    api.docker("ps -aq").prints("");
    api.docker("volume ls -q").prints("");
    api.docker("network ls --filter type=custom -q").prints("");
    api.finish();
}
