//! What routes ask of a request's process: one answer, a body that flows, descriptors there and back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use bulkhead_engine::Engine;
use bulkhead_sys::channel;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::out::Out;
use super::{Worker, killed};
use crate::failure::Failure;
use crate::flow::Flow;
use crate::house::House;

/// Does a job, and answers with what came of it.
pub(crate) async fn answer<T: Serialize>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<Response, Failure> {
    let worker = Worker::send(house, job)?;
    let json = worker.json().await?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

/// Does a job, and gives what came of it.
pub(crate) async fn ask<T: Serialize + DeserializeOwned>(
    house: &House,
    job: impl FnOnce(&mut Engine) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    understood(&Worker::send(house, job)?.json().await?)
}

/// Does a job with descriptors of the server's, and gives what came of it.
pub(crate) async fn ask_with<T: Serialize + DeserializeOwned>(
    house: &House,
    given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    understood(&Worker::send_with(house, given, job)?.json().await?)
}

/// Does a job that makes descriptors, which the server has from then on.
pub(crate) async fn hand_over<T: Serialize + DeserializeOwned>(
    house: &House,
    mut given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>) -> Result<(T, Vec<OwnedFd>), Failure> + Send,
) -> Result<(T, Vec<OwnedFd>), Failure> {
    let failed = |error: std::io::Error| Failure::ours(format!("cannot hand over descriptors: {error}"));
    let (ours, theirs) = channel::pair().map_err(failed)?;
    given.push(theirs);
    let job = |engine: &mut Engine, mut given: Vec<OwnedFd>| {
        let theirs = given.pop();
        let (done, made) = job(engine, given)?;
        let made: Vec<BorrowedFd<'_>> = made.iter().map(AsFd::as_fd).collect();
        theirs.map(|theirs| channel::send(theirs, b"made", &made)).transpose().map_err(failed)?;
        Ok(done)
    };
    let done = ask_with(house, given, job).await?;
    // It was sent before the answer was.
    rustix::io::ioctl_fionbio(&ours, true).map_err(|error| failed(error.into()))?;
    let made = channel::receive(&ours).map_err(failed)?.ok_or_else(killed)?;
    Ok((done, made.fds))
}

pub(super) fn understood<T: DeserializeOwned>(json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json)
        .map_err(|error| Failure::ours(format!("the request's process cannot be understood: {error}")))
}

/// Does a job that writes its answer bit by bit.
pub(crate) async fn flow(
    house: &House,
    job: impl FnOnce(&mut Engine, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Response, Failure> {
    flow_with(house, Vec::new(), |engine, _, out| job(engine, out)).await
}

/// The same, for whoever passes it on itself.
pub(crate) async fn flow_of(
    house: &House,
    job: impl FnOnce(&mut Engine, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Flow, Failure> {
    let (worker, last_word) = Worker::send_flowing(house, Vec::new(), |engine, _, out| job(engine, out))?;
    Ok(worker.flow(last_word).await?.2)
}

/// Does a job that writes its answer bit by bit, with descriptors of the server's.
pub(crate) async fn flow_with(
    house: &House,
    given: Vec<OwnedFd>,
    job: impl FnOnce(&mut Engine, Vec<OwnedFd>, &mut Out) -> Result<(), Failure> + Send,
) -> Result<Response, Failure> {
    let (worker, last_word) = Worker::send_flowing(house, given, job)?;
    let (form, extra, flow) = worker.flow(last_word).await?;
    let mut response = ([(CONTENT_TYPE, form.media_type())], Body::new(flow)).into_response();
    for (name, value) in extra {
        let unfit = |error: String| Failure::ours(format!("cannot answer with the header {name}: {error}"));
        let value = HeaderValue::from_str(&value).map_err(|error| unfit(error.to_string()))?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| unfit(error.to_string()))?;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}
