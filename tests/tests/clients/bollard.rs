//! bollard, the client of Rust programs.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecResults};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use bulkhead_tests::Served;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use crate::SOCKET;

#[test]
fn a_container_from_its_making_to_its_end() {
    let api = Served::new("bollard");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(story(&api.host.on_machine(SOCKET)));
    api.docker("ps -aq").prints("");
    api.finish();
}

async fn story(socket: &str) {
    let docker = Docker::connect_with_unix(socket, 60, API_DEFAULT_VERSION).unwrap();
    assert_eq!(docker.ping().await.unwrap(), "OK");
    let docker = docker.negotiate_version().await.unwrap();
    assert_eq!(docker.version().await.unwrap().os.as_deref(), Some("linux"));
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(
            ["sh", "-c", "echo begun; read line; echo \"got $line\"; exit 3"].map(str::to_owned).into(),
        ),
        open_stdin: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        labels: Some(HashMap::from([("a".to_owned(), "b".to_owned())])),
        host_config: Some(HostConfig { memory: Some(64 << 20), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name("one").build();
    let id = docker.create_container(Some(options), body).await.unwrap().id;
    let options = AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stream(true).build();
    let mut attached = docker.attach_container("one", Some(options)).await.unwrap();
    docker.start_container("one", None::<StartContainerOptions>).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("begun") {
        heard.extend_from_slice(&attached.output.next().await.unwrap().unwrap().into_bytes());
    }
    let shown = docker.inspect_container("one", None).await.unwrap();
    assert_eq!(shown.id.as_deref(), Some(id.as_str()));
    let filters = HashMap::from([("label", vec!["a=b"])]);
    let options = ListContainersOptionsBuilder::default().filters(&filters).build();
    assert_eq!(docker.list_containers(Some(options)).await.unwrap().len(), 1);

    let exec = CreateExecOptions {
        cmd: Some(vec!["sh", "-c", "echo from exec; exit 4"]),
        attach_stdout: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker.create_exec("one", exec).await.unwrap().id;
    let StartExecResults::Attached { mut output, .. } = docker.start_exec(&exec, None).await.unwrap() else {
        panic!("it was not to be detached")
    };
    let mut said = String::new();
    while let Some(LogOutput::StdOut { message }) = output.next().await.transpose().unwrap() {
        said.push_str(&String::from_utf8_lossy(&message));
    }
    assert_eq!(said, "from exec\n");
    assert_eq!(docker.inspect_exec(&exec).await.unwrap().exit_code, Some(4));

    attached.input.write_all(b"that\n").await.unwrap();
    while let Some(output) = attached.output.next().await {
        heard.extend_from_slice(&output.unwrap().into_bytes());
    }
    assert_eq!(String::from_utf8_lossy(&heard), "begun\ngot that\n");
    let ended = docker.wait_container("one", None::<WaitContainerOptions>).next().await.unwrap();
    // It gives a code that is not 0 as an error.
    let code = match ended {
        Ok(response) => response.status_code,
        Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => code,
        Err(error) => panic!("{error}"),
    };
    assert_eq!(code, 3);
    let options = LogsOptionsBuilder::default().stdout(true).tail("1").build();
    let mut logs = docker.logs("one", Some(options));
    assert_eq!(logs.next().await.unwrap().unwrap().to_string(), "got that\n");
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    docker.remove_container("one", Some(options)).await.unwrap();
}
