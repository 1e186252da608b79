//! Five hundred clients at once, each with a container of its own: nothing is lost, and nobody hears another's words.

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptions, StartContainerOptions,
    WaitContainerOptions,
};
use bulkhead_tests::Served;
use futures_util::StreamExt;

use crate::SOCKET;

#[test]
fn five_hundred_clients_lose_nothing_and_mix_up_nothing() {
    let api = Served::new("load");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let socket = api.host.on_machine(SOCKET);
    runtime.block_on(async {
        let all: Vec<_> = (0..500).map(|number| tokio::spawn(one(socket.clone(), number))).collect();
        for client in all {
            client.await.unwrap();
        }
    });
    api.docker("ps -aq").prints("");
    let workers = "cat /proc/$(cat /tmp/server)/task/*/children | wc -w";
    bulkhead_tests::wait::until("all requests are over", || api.host.sh(workers).stdout() == "0");
    api.finish();
}

async fn one(socket: String, number: i64) {
    // A connection of its own.
    let docker = Docker::connect_with_unix(&socket, 300, bollard::API_DEFAULT_VERSION).unwrap();
    let code = number % 100;
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(vec![
            "sh".into(),
            "-c".into(),
            format!("echo I am {number}; sleep 0.1; echo still {number}; exit {code}"),
        ]),
        host_config: Some(HostConfig { network_mode: Some("none".into()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let name = format!("c-{number}");
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker.create_container(Some(options), body).await.unwrap();
    docker.start_container(&name, None::<StartContainerOptions>).await.unwrap();
    let options = LogsOptionsBuilder::default().stdout(true).follow(true).build();
    let mut logs = docker.logs(&name, Some(options));
    let mut heard = String::new();
    while let Some(said) = logs.next().await {
        heard.push_str(&said.unwrap().to_string());
    }
    assert_eq!(heard, format!("I am {number}\nstill {number}\n"));
    let ended = docker.wait_container(&name, None::<WaitContainerOptions>).next().await.unwrap();
    let ended = match ended {
        Ok(response) => response.status_code,
        Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => code,
        Err(error) => panic!("{name}: {error}"),
    };
    assert_eq!(ended, code);
    docker.remove_container(&name, None::<RemoveContainerOptions>).await.unwrap();
}
