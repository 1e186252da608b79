//! `bulkhead update`.

use bulkhead_engine::models::ContainerUpdateBody;

use super::{Done, for_each, warn};
use crate::Context;
use crate::failure::Failure;
use crate::options::lasting::restart_policy;
use crate::options::{nano_cpus, size, swap};

/// Give containers other limits
#[derive(Debug, Default, clap::Args)]
pub struct Update {
    /// Share of disk time relative to others (10-1000)
    #[arg(long, value_name = "N")]
    blkio_weight: Option<u16>,
    /// Length of a period of processor time, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<i64>,
    /// Processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// Length of a period of real-time processor time, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_period: Option<i64>,
    /// Real-time processor time in each period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_rt_runtime: Option<i64>,
    /// Share of processor time relative to others
    #[arg(short, long, value_name = "N")]
    cpu_shares: Option<i64>,
    /// Number of processors, e.g. 1.5
    #[arg(long, value_name = "N")]
    cpus: Option<String>,
    /// Processors to run on, e.g. 0-2,5
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Memory limit, e.g. 512m
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory that is kept when memory is short
    #[arg(long, value_name = "BYTES")]
    memory_reservation: Option<String>,
    /// Limit of memory and swap together; -1 is unlimited swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// How many processes and threads; -1 is unlimited
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// When it is started again: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Containers, by name or ID
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Update {
    pub(super) fn run(self, context: &Context) -> Done {
        let request = self.request()?;
        if request == ContainerUpdateBody::default() {
            return Err(Failure::new("you must provide one or more flags when using this command"));
        }
        let mut engine = context.engine()?;
        let done = for_each(&self.containers, |name| {
            let container = engine.container(name)?;
            warn(&engine.update(&container, request.clone())?);
            Ok(())
        });
        super::system::checkpoint_aside(context, &engine);
        done
    }

    fn request(&self) -> Result<ContainerUpdateBody, Failure> {
        Ok(ContainerUpdateBody {
            blkio_weight: self.blkio_weight,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpu_realtime_period: self.cpu_rt_period,
            cpu_realtime_runtime: self.cpu_rt_runtime,
            cpu_shares: self.cpu_shares,
            nano_cpus: self.cpus.as_deref().map(nano_cpus).transpose()?,
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            memory: size("memory", self.memory.as_ref())?,
            memory_reservation: size("memory-reservation", self.memory_reservation.as_ref())?,
            memory_swap: swap(self.memory_swap.as_ref())?,
            pids_limit: self.pids_limit,
            restart_policy: self.restart.as_deref().map(restart_policy).transpose()?,
            ..ContainerUpdateBody::default()
        })
    }
}
