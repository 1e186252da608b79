use std::collections::HashMap;

use bollard_stubs::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig};
use bulkhead_supervisor::log_config::{LogConfig, LogFormat, ReceiverKind};

use super::{plan, settle};
use crate::config::Config;
use crate::error::Result;
use crate::roots::Roots;
use crate::store::containers::Container;
use crate::users::Users;

fn container(driver: &str, options: &[(&str, &str)]) -> Container {
    let pairs = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let log = HostConfigLogConfig { typ: Some(driver.into()), config: Some(pairs(options)) };
    Container {
        id: "0123456789abcdef".repeat(4),
        name: "web".into(),
        created: 0,
        image: format!("sha256:{}", "fedcba9876543210".repeat(4)),
        config: ContainerCreateBody {
            image: Some("nginx:1".into()),
            labels: Some(pairs(&[("tier", "front"), ("team.a", "x"), ("other", "y")])),
            env: Some(vec!["PORT=80".into(), "HOME=/".into(), "BARE".into()]),
            host_config: Some(HostConfig { log_config: Some(log), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        },
        auto_remove: false,
        creator: None,
        users: Users::Host,
    }
}

fn planned(driver: &str, options: &[(&str, &str)]) -> Result<LogConfig> {
    plan(&container(driver, options), &Roots::system())
}

fn refused(driver: &str, options: &[(&str, &str)], words: &str) {
    match planned(driver, options) {
        Err(error) => assert!(error.to_string().contains(words), "{driver} {options:?}: {error}"),
        Ok(config) => panic!("{driver} {options:?}: {config:?}"),
    }
}

#[test]
fn sizes_are_dockers() {
    let file = |driver, options: &[(&str, &str)]| planned(driver, options).unwrap().file.unwrap();
    let json = file("json-file", &[]);
    assert_eq!((json.max_size, json.max_files), (None, 1));
    let json = file("json-file", &[("max-size", "10k"), ("max-file", "3"), ("compress", "false")]);
    assert_eq!((json.max_size, json.max_files), (Some(10_000), 3));
    let local = file("local", &[]);
    assert_eq!((local.max_size, local.max_files), (Some(20 << 20), 5));
    let local = file("local", &[("max-size", "10k"), ("max-file", "1")]);
    assert_eq!((local.max_size, local.max_files), (Some(10_240), 1));
    assert_eq!(planned("none", &[]).unwrap(), LogConfig::default());
}

#[test]
fn lines_tell_what_was_asked_for() {
    let attrs = |options: &[(&str, &str)]| match planned("json-file", options).unwrap().file.unwrap().format {
        LogFormat::Json { attrs } => attrs,
        LogFormat::Plain => panic!("not JSON"),
    };
    assert_eq!(attrs(&[]), None);
    assert_eq!(attrs(&[("labels", "nosuch"), ("env", "")]), None);
    assert_eq!(
        attrs(&[("labels", "tier,nosuch"), ("env", "PORT")]).unwrap(),
        r#"{"PORT":"80","tier":"front"}"#
    );
    assert_eq!(
        attrs(&[("labels-regex", r"^team\."), ("env-regex", "^(HO|BA)")]).unwrap(),
        r#"{"HOME":"/","team.a":"x"}"#
    );
    assert_eq!(
        attrs(&[("tag", "{{.Name}}/{{ .ID }}/{{.ImageName}}/{{.ImageID}}")]).unwrap(),
        r#"{"tag":"web/0123456789ab/nginx:1/fedcba987654"}"#
    );
}

#[test]
fn the_journal_gets_dockers_fields() {
    let config = planned("journald", &[("labels", "tier,team.a"), ("tag", "t-{{.FullID}}")]).unwrap();
    let ReceiverKind::Journald { fields } = config.receiver.unwrap().kind else { panic!("no journal") };
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let id = "0123456789abcdef".repeat(4);
    assert_eq!(value("CONTAINER_ID"), Some("0123456789ab"));
    assert_eq!(value("CONTAINER_ID_FULL"), Some(id.as_str()));
    assert_eq!((value("CONTAINER_NAME"), value("IMAGE_NAME")), (Some("web"), Some("nginx:1")));
    assert_eq!(value("CONTAINER_TAG"), Some(format!("t-{id}").as_str()));
    assert_eq!((value("TIER"), value("TEAM_A")), (Some("front"), Some("x")));
}

#[test]
fn a_receiver_s_log_is_kept_to_be_read_unless_that_is_turned_off() {
    let config = planned("syslog", &[("cache-max-size", "1k"), ("mode", "non-blocking")]).unwrap();
    assert_eq!(config.file.unwrap().max_size, Some(1024));
    assert_eq!(config.receiver.unwrap().buffer, Some(1 << 20));
    let config = planned("journald", &[("cache-disabled", "true")]).unwrap();
    assert_eq!(config.file, None);
    assert_eq!(config.receiver.unwrap().buffer, None);
}

#[test]
fn what_makes_no_sense_is_refused() {
    refused("json-file", &[("nosuch", "1")], "unknown log opt 'nosuch' for json-file log driver");
    refused("local", &[("labels", "a")], "unknown log opt 'labels' for log driver local");
    refused("none", &[("max-size", "1m")], "invalid logging opts for driver none");
    refused("json-file", &[("max-size", "0")], "max-size must be a positive number");
    refused("json-file", &[("max-size", "-1")], "invalid size: '-1'");
    refused("json-file", &[("max-size", "1x")], "invalid suffix: 'x'");
    refused("json-file", &[("max-file", "0")], "max-file cannot be less than 1");
    refused("json-file", &[("max-file", "some")], "\"some\"");
    refused("json-file", &[("compress", "true")], "uncompressed");
    refused("json-file", &[("compress", "perhaps")], "true or false");
    refused("json-file", &[("env-regex", "(")], "env-regex");
    refused("json-file", &[("tag", "{{.Nosuch}}")], "{{.Nosuch}} cannot be used");
    refused("json-file", &[("tag", "{{.ID")], "does not end");
    refused("json-file", &[("mode", "sometimes")], "logging mode not supported: sometimes");
    refused("json-file", &[("mode", "non-blocking")], "writes a file");
    refused("json-file", &[("cache-disabled", "true")], "unknown log opt 'cache-disabled'");
    refused("journald", &[("max-buffer-size", "1m")], "only supported with 'mode=non-blocking'");
    refused("journald", &[("mode", "non-blocking"), ("max-buffer-size", "x")], "max-buffer-size");
    refused("syslog", &[("labels", "a")], "changes nothing");
    refused("syslog", &[("syslog-tls-cert", "a")], "without TLS");
    refused("syslog", &[("syslog-facility", "nosuch")], "invalid syslog facility");
    refused("syslog", &[("syslog-format", "nosuch")], "Invalid syslog format");
    refused("gelf", &[], "does not have the log driver gelf");
    refused("nosuch", &[], "no log driver named 'nosuch' is registered");
}

#[test]
fn the_machines_options_are_for_the_machines_driver() {
    let machine = Config {
        log_driver: Some("local".into()),
        log_opts: HashMap::from([("max-size".to_owned(), "5m".to_owned())]),
        ..Config::default()
    };
    let settled = |driver: Option<&str>, own: Option<&str>| {
        let own = own.map(|size| HashMap::from([("max-size".to_owned(), size.to_owned())]));
        let log = HostConfigLogConfig { typ: driver.map(str::to_owned), config: own };
        let mut host = HostConfig { log_config: Some(log), ..HostConfig::default() };
        settle(&mut host, &machine).unwrap();
        let log = host.log_config.unwrap();
        (log.typ.unwrap(), log.config.unwrap().get("max-size").cloned())
    };
    assert_eq!(settled(None, None), ("local".into(), Some("5m".into())));
    assert_eq!(settled(Some("local"), Some("1m")), ("local".into(), Some("1m".into())));
    assert_eq!(settled(Some("json-file"), None), ("json-file".into(), None));
}
