//! Every route of the API's reference, and whether it is served.

use std::fmt::Write as _;

/// A route of Docker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// Its method.
    pub(crate) method: &'static str,
    /// Its path, without the version.
    pub(crate) path: &'static str,
    /// Whether it is served.
    pub(crate) served: Served,
}

/// Whether a route is served, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// It is.
    Yes,
    /// It is, and differs so from Docker's.
    Differs(&'static str),
    /// It answers 501, with this sentence.
    No(&'static str),
}

const YES: Served = Served::Yes;
const fn differs(how: &'static str) -> Served {
    Served::Differs(how)
}

const SWARM: Served = Served::No("bulkhead is no cluster: there is no swarm mode");
const WEBSOCKET: Served =
    Served::No("bulkhead attaches by POST /containers/{id}/attach, and not by websocket");
const PLUGINS: Served = Served::No("bulkhead has no plugins");
const SEARCH: Served = Served::No(
    "bulkhead does not search for images: registries have no search, and there is no hub behind it",
);
const BUILD: Served = Served::No("this version of bulkhead does not build images");

const fn route(method: &'static str, path: &'static str, served: Served) -> Route {
    Route { method, path, served }
}

/// Every route, in the order of the reference (<https://docs.docker.com/reference/api/engine/version/v1.53/>).
pub(crate) const TABLE: &[Route] = &[
    route(
        "GET",
        "/containers/json",
        differs(
            "`exited` asks for containers that do not run without `all=1`; an `id` is the beginning of one",
        ),
    ),
    route(
        "POST",
        "/containers/create",
        differs(
            "a container has a user namespace of its own, unless `UsernsMode` or `serve --userns` says otherwise; what is refused of the flags below is refused here",
        ),
    ),
    route("GET", "/containers/{id}/json", YES),
    route("GET", "/containers/{id}/top", YES),
    route("GET", "/containers/{id}/logs", YES),
    route("GET", "/containers/{id}/changes", YES),
    route("GET", "/containers/{id}/export", YES),
    route(
        "GET",
        "/containers/{id}/stats",
        differs("of a container that does not run, what Docker leaves out is zero"),
    ),
    route("POST", "/containers/{id}/resize", YES),
    route("POST", "/containers/{id}/start", differs("no checkpoints")),
    route("POST", "/containers/{id}/stop", YES),
    route("POST", "/containers/{id}/restart", YES),
    route("POST", "/containers/{id}/kill", YES),
    route("POST", "/containers/{id}/update", YES),
    route("POST", "/containers/{id}/rename", YES),
    route("POST", "/containers/{id}/pause", YES),
    route("POST", "/containers/{id}/unpause", YES),
    route(
        "POST",
        "/containers/{id}/attach",
        differs(
            "whoever attaches before the start hears everything, if the container is started through the same server",
        ),
    ),
    route("GET", "/containers/{id}/attach/ws", WEBSOCKET),
    route("POST", "/containers/{id}/wait", YES),
    route("DELETE", "/containers/{id}", differs("no links to remove (`link=1`)")),
    route("HEAD", "/containers/{id}/archive", YES),
    route("GET", "/containers/{id}/archive", YES),
    route("PUT", "/containers/{id}/archive", differs("plain, gzip and zstd; no bzip2 and no xz")),
    route(
        "POST",
        "/containers/prune",
        differs("what has any of several `label!` stays; with Docker, only what has all"),
    ),
    route("GET", "/images/json", YES),
    route("POST", "/build", BUILD),
    route("POST", "/build/prune", differs("there is nothing to remove")),
    route("POST", "/build/cancel", BUILD),
    route(
        "POST",
        "/images/create",
        differs("`fromSrc` is `-` only: nothing is fetched from other addresses"),
    ),
    // An image's name may have slashes: the router knows `/images/{*name}`, and these are told apart by how they end.
    route("GET", "/images/{name}/json", YES),
    route("GET", "/images/{name}/history", YES),
    route("GET", "/images/{name}/get", YES),
    route("POST", "/images/{name}/push", YES),
    route("POST", "/images/{name}/tag", YES),
    route("DELETE", "/images/{name}", YES),
    route("GET", "/images/search", SEARCH),
    route("POST", "/images/prune", differs("`label!` as with containers")),
    route("POST", "/auth", YES),
    route("GET", "/info", differs("what is about swarm and plugins is empty")),
    route("GET", "/version", YES),
    route("GET", "/_ping", YES),
    route("HEAD", "/_ping", YES),
    route("POST", "/commit", YES),
    route("GET", "/events", YES),
    route("GET", "/system/df", YES),
    route("GET", "/images/get", YES),
    route("POST", "/images/load", YES),
    route("POST", "/containers/{id}/exec", differs("the ID is this server's: another one does not know it")),
    route("POST", "/exec/{id}/start", YES),
    route("POST", "/exec/{id}/resize", YES),
    route("GET", "/exec/{id}/json", YES),
    route("GET", "/volumes", YES),
    route("POST", "/volumes/create", YES),
    route("GET", "/volumes/{name}", YES),
    route("PUT", "/volumes/{name}", SWARM),
    route("DELETE", "/volumes/{name}", YES),
    route("POST", "/volumes/prune", differs("`label!` as with containers")),
    route("GET", "/networks", YES),
    route("GET", "/networks/{id}", YES),
    route("DELETE", "/networks/{id}", YES),
    route("POST", "/networks/create", YES),
    route("POST", "/networks/{id}/connect", YES),
    route("POST", "/networks/{id}/disconnect", YES),
    route("POST", "/networks/prune", differs("`label!` as with containers")),
    route("GET", "/plugins", PLUGINS),
    route("GET", "/plugins/{*name}", PLUGINS),
    route("GET", "/nodes", SWARM),
    route("GET", "/nodes/{*id}", SWARM),
    route("GET", "/swarm", SWARM),
    route("POST", "/swarm/{*what}", SWARM),
    route("GET", "/services", SWARM),
    route("GET", "/services/{*id}", SWARM),
    route("GET", "/tasks", SWARM),
    route("GET", "/tasks/{*id}", SWARM),
    route("GET", "/secrets", SWARM),
    route("GET", "/secrets/{*id}", SWARM),
    route("GET", "/configs", SWARM),
    route("GET", "/configs/{*id}", SWARM),
    route("GET", "/distribution/{*name}", YES),
    route("POST", "/session", BUILD),
];

/// The table of routes in docs/docker.md.
pub(crate) fn reference() -> String {
    let mut text = String::from("| route | | |\n|---|---|---|\n");
    for route in TABLE {
        let (how, what) = match route.served {
            Served::Yes => ("works", ""),
            Served::Differs(how) => ("differs", how),
            Served::No(why) => ("refused", why),
        };
        // A String takes any text.
        let _ = writeln!(text, "| `{} {}` | {how} | {what} |", route.method, route.path.replace("{*", "{"));
    }
    text
}
