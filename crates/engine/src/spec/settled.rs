//! Back from the list of what is mounted where to Docker's form, in which it is recorded with the container.

use bollard_stubs::models::{HostConfig, Mount, MountType, MountVolumeOptionsDriverConfig};

use super::binds::{Source, Wanted};
use super::mount_ids;

/// The mounts that a request wants, with the names of anonymous volumes fixed, so that each later start of the
/// container finds the same ones.
pub fn settle(host: &mut HostConfig, wanted: &[Wanted]) {
    host.binds = None;
    host.tmpfs = None;
    host.mounts = Some(wanted.iter().map(to_mount).collect());
    for one in wanted {
        if let Some(text) = one.ids.to_text() {
            host.annotations.get_or_insert_default().insert(mount_ids::key(&one.target), text);
        }
    }
}

fn to_mount(wanted: &Wanted) -> Mount {
    let mut mount =
        Mount { target: Some(wanted.target.clone()), read_only: Some(wanted.readonly), ..Mount::default() };
    match &wanted.source {
        Source::Bind { path, create, recursive } => {
            mount.typ = Some(MountType::BIND);
            mount.source = Some(path.clone());
            mount.bind_options = Some(bollard_stubs::models::MountBindOptions {
                propagation: wanted.propagation.and_then(|p| p.word().parse().ok()),
                non_recursive: Some(!recursive),
                create_mountpoint: Some(*create),
                ..Default::default()
            });
        }
        Source::Volume { name, copy, labels, options, .. } => {
            mount.typ = Some(MountType::VOLUME);
            mount.source = Some(name.clone());
            let driver = MountVolumeOptionsDriverConfig {
                name: Some("local".into()),
                options: Some(options.clone().into_iter().collect()),
            };
            mount.volume_options = Some(bollard_stubs::models::MountVolumeOptions {
                driver_config: (!options.is_empty()).then_some(driver),
                no_copy: Some(!copy),
                labels: Some(labels.clone().into_iter().collect()),
                ..Default::default()
            });
        }
        Source::Image { id } => {
            mount.typ = Some(MountType::IMAGE);
            mount.source = Some(id.clone());
        }
        Source::Tmpfs { options } => {
            mount.typ = Some(MountType::TMPFS);
            mount.tmpfs_options = Some(bollard_stubs::models::MountTmpfsOptions {
                options: Some(options.iter().map(|(key, value)| vec![key.clone(), value.clone()]).collect()),
                ..Default::default()
            });
        }
    }
    mount
}
