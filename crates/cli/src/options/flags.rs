//! The flags that make a container, as `run` and `create` take them. The comments are the help text.

use clap::Args;

/// The flags.
#[derive(Clone, Debug, Args)]
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct CreateFlags {
    /// Give the container a name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Keep standard input open, even if nobody is attached
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    pub interactive: bool,
    /// Give the container a terminal
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    pub tty: bool,
    /// Attach to stdin, stdout or stderr only
    #[arg(short, long, value_name = "STREAM")]
    pub attach: Vec<String>,
    /// Remove the container and its anonymous volumes when it ends
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    pub rm: bool,
    /// Set a variable; a bare name takes the value that it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User, by name or number: USER[:GROUP]
    #[arg(short, long)]
    pub user: Option<String>,
    /// Another group to be in
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Replace the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Run a small init as PID 1, which passes signals on and reaps orphans
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    pub init: bool,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<String>,
    /// Add an annotation
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Write the container's ID to a file that does not exist yet
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<std::path::PathBuf>,
    /// Signal that asks the container to stop [default: SIGTERM]
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds to wait for it to stop before it is killed [default: 10]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub stop_timeout: Option<i64>,
    /// Where output goes: json-file, local, journald, syslog or none [default: json-file]
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Set an option of the log driver, e.g. max-size=10m
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,

    /// Whether to pull the image first: missing (if it is not here), always or never
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: String,
    /// Platform of the image: this machine's own
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Say nothing about pulling
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL")]
    pub quiet: bool,
    /// Whether signatures of images are left unverified: true
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, value_name = "BOOL")]
    pub disable_content_trust: bool,
    /// What isolates the container: default
    #[arg(long, value_name = "TECHNOLOGY")]
    pub isolation: Option<String>,
    /// What runs the container: bulkhead
    #[arg(long, value_name = "NAME")]
    pub runtime: Option<String>,

    /// Mount a folder of the host or a volume: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "VOLUME", help_heading = "Files")]
    pub volume: Vec<String>,
    /// Mount something: type=bind|volume|tmpfs,source=…,target=…[,readonly]…
    #[arg(long, value_name = "MOUNT", help_heading = "Files")]
    pub mount: Vec<String>,
    /// Mount an empty file system in memory: TARGET[:OPTIONS]
    #[arg(long, value_name = "TARGET", help_heading = "Files")]
    pub tmpfs: Vec<String>,
    /// Mount what another container has of the host's folders and of volumes: CONTAINER[:ro|rw]
    #[arg(long, value_name = "CONTAINER", help_heading = "Files")]
    pub volumes_from: Vec<String>,
    /// Driver of the volumes that are made: local
    #[arg(long, value_name = "DRIVER", help_heading = "Files")]
    pub volume_driver: Option<String>,
    /// Make the root file system read-only
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", help_heading = "Files")]
    pub read_only: bool,
    /// Size of /dev/shm [default: 64m]
    #[arg(long, value_name = "BYTES", help_heading = "Files")]
    pub shm_size: Option<String>,

    /// Network: one by name, bridge, none, host or container:NAME; several may be given
    #[arg(long, alias = "net", value_name = "NETWORK", help_heading = "Network")]
    pub network: Vec<String>,
    /// Another name for the container on its network
    #[arg(long, alias = "net-alias", value_name = "NAME", help_heading = "Network")]
    pub network_alias: Vec<String>,
    /// IPv4 address on its network
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub ip: Option<String>,
    /// IPv6 address on its network
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub ip6: Option<String>,
    /// MAC address on its network
    #[arg(long, value_name = "ADDRESS", help_heading = "Network")]
    pub mac_address: Option<String>,
    /// Find another container by a name: CONTAINER[:ALIAS]
    #[arg(long, value_name = "LINK", help_heading = "Network")]
    pub link: Vec<String>,
    /// Publish a port on the host: [[ADDRESS:][HOST_PORT]:]PORT[/PROTOCOL]
    #[arg(short, long, value_name = "PORTS", help_heading = "Network")]
    pub publish: Vec<String>,
    /// Publish all exposed ports, each on any that is free
    #[arg(short = 'P', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", help_heading = "Network")]
    pub publish_all: bool,
    /// Say that the program listens on a port: PORT[-PORT][/PROTOCOL]
    #[arg(long, value_name = "PORTS", help_heading = "Network")]
    pub expose: Vec<String>,

    /// PID namespace: private, host or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Namespaces")]
    pub pid: Option<String>,
    /// IPC namespace: private, shareable, none, host or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Namespaces")]
    pub ipc: Option<String>,
    /// UTS namespace: private or host
    #[arg(long, value_name = "MODE", help_heading = "Namespaces")]
    pub uts: Option<String>,
    /// User namespace: auto[:size=N,…], host, keep-id[:uid=N,…] or container:NAME
    #[arg(long, value_name = "MODE", help_heading = "Namespaces")]
    pub userns: Option<String>,
    /// Map user IDs of the container to these of the host, and no others
    #[arg(long, value_name = "C:H:COUNT", conflicts_with = "userns", help_heading = "Namespaces")]
    pub uidmap: Vec<String>,
    /// Map group IDs likewise
    #[arg(long, value_name = "C:H:COUNT", conflicts_with = "userns", help_heading = "Namespaces")]
    pub gidmap: Vec<String>,
    /// Cgroup namespace: private or host
    #[arg(long, value_name = "MODE", help_heading = "Namespaces")]
    pub cgroupns: Option<String>,
    /// A time namespace with its clocks shifted: monotonic=SECONDS,boottime=SECONDS
    #[arg(long, value_name = "OFFSETS", allow_hyphen_values = true, help_heading = "Namespaces")]
    pub time_offset: Option<String>,
    /// Host name in the container
    #[arg(short = 'h', long, value_name = "NAME", help_heading = "Namespaces")]
    pub hostname: Option<String>,
    /// Domain name in the container
    #[arg(long, value_name = "NAME", help_heading = "Namespaces")]
    pub domainname: Option<String>,
    /// Set a kernel parameter of the container's namespaces
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Namespaces")]
    pub sysctl: Vec<String>,

    /// Add a line to /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "LINE", help_heading = "Names")]
    pub add_host: Vec<String>,
    /// Use this name server
    #[arg(long, value_name = "ADDRESS", help_heading = "Names")]
    pub dns: Vec<String>,
    /// Look names up in this domain
    #[arg(long, value_name = "DOMAIN", help_heading = "Names")]
    pub dns_search: Vec<String>,
    /// Set an option of resolv.conf(5)
    #[arg(long, alias = "dns-opt", value_name = "OPTION", help_heading = "Names")]
    pub dns_option: Vec<String>,

    /// Give all capabilities and devices, and lift all protections
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", help_heading = "Security")]
    pub privileged: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", help_heading = "Security")]
    pub cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY", help_heading = "Security")]
    pub cap_drop: Vec<String>,
    /// no-new-privileges, seccomp=FILE|unconfined|builtin, systempaths=unconfined
    #[arg(long, value_name = "OPTION", help_heading = "Security")]
    pub security_opt: Vec<String>,
    /// Give a device of the host: PATH[:PATH_INSIDE][:rwm]
    #[arg(long, value_name = "DEVICE", help_heading = "Security")]
    pub device: Vec<String>,
    /// Add a rule to the allowed devices, e.g. "c 13:* rwm"
    #[arg(long, value_name = "RULE", help_heading = "Security")]
    pub device_cgroup_rule: Vec<String>,

    /// Memory limit, e.g. 512m
    #[arg(short, long, value_name = "BYTES", help_heading = "Limits")]
    pub memory: Option<String>,
    /// Memory that is kept when memory is short
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 is unlimited swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, help_heading = "Limits")]
    pub memory_swap: Option<String>,
    /// Limit of the kernel's memory: deprecated, without effect
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub kernel_memory: Option<String>,
    /// How readily memory is swapped out (0-100)
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Limits")]
    pub memory_swappiness: Option<i64>,
    /// Do not end processes when memory runs out
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "false", hide_default_value = true, value_name = "BOOL", help_heading = "Limits")]
    pub oom_kill_disable: bool,
    /// How willingly the kernel ends it when memory runs out (-1000 to 1000)
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Limits")]
    pub oom_score_adj: Option<i64>,
    /// Number of processors, e.g. 1.5
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub cpus: Option<String>,
    /// Share of processor time relative to others [default: 1024]
    #[arg(short, long, value_name = "N", help_heading = "Limits")]
    pub cpu_shares: Option<i64>,
    /// Length of a period of processor time, in microseconds
    #[arg(long, value_name = "MICROSECONDS", help_heading = "Limits")]
    pub cpu_period: Option<i64>,
    /// Processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true, help_heading = "Limits")]
    pub cpu_quota: Option<i64>,
    /// Length of a period of real-time processor time, in microseconds
    #[arg(long, value_name = "MICROSECONDS", help_heading = "Limits")]
    pub cpu_rt_period: Option<i64>,
    /// Real-time processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", help_heading = "Limits")]
    pub cpu_rt_runtime: Option<i64>,
    /// Processors to run on, e.g. 0-2,5
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST", help_heading = "Limits")]
    pub cpuset_mems: Option<String>,
    /// How many processes and threads; -1 is unlimited
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Limits")]
    pub pids_limit: Option<i64>,
    /// Set a resource limit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub ulimit: Vec<String>,
    /// Share of disk time relative to others (10-1000)
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub blkio_weight: Option<u16>,
    /// The same for one disk: DEVICE:WEIGHT
    #[arg(long, value_name = "WEIGHT", help_heading = "Limits")]
    pub blkio_weight_device: Vec<String>,
    /// Bytes a second read from a disk: DEVICE:RATE
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second written to a disk: DEVICE:RATE
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a disk: DEVICE:RATE
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a disk: DEVICE:RATE
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub device_write_iops: Vec<String>,
    /// Control group above the container's [default: /bulkhead]
    #[arg(long, value_name = "PATH", help_heading = "Limits")]
    pub cgroup_parent: Option<String>,

    #[command(flatten)]
    pub lasting: super::lasting::Lasting,

    /// Image to run
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// Command, in place of the image's, and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}
