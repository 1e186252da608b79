//! Every route of the API's reference, and whether it is served.

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
    /// It answers 501, with this sentence.
    No(&'static str),
}

const YES: Served = Served::Yes;
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
    route("GET", "/containers/json", YES),
    route("POST", "/containers/create", YES),
    route("GET", "/containers/{id}/json", YES),
    route("GET", "/containers/{id}/top", YES),
    route("GET", "/containers/{id}/logs", YES),
    route("GET", "/containers/{id}/changes", YES),
    route("GET", "/containers/{id}/export", YES),
    route("GET", "/containers/{id}/stats", YES),
    route("POST", "/containers/{id}/resize", YES),
    route("POST", "/containers/{id}/start", YES),
    route("POST", "/containers/{id}/stop", YES),
    route("POST", "/containers/{id}/restart", YES),
    route("POST", "/containers/{id}/kill", YES),
    route("POST", "/containers/{id}/update", YES),
    route("POST", "/containers/{id}/rename", YES),
    route("POST", "/containers/{id}/pause", YES),
    route("POST", "/containers/{id}/unpause", YES),
    route("POST", "/containers/{id}/attach", YES),
    route("GET", "/containers/{id}/attach/ws", WEBSOCKET),
    route("POST", "/containers/{id}/wait", YES),
    route("DELETE", "/containers/{id}", YES),
    route("HEAD", "/containers/{id}/archive", YES),
    route("GET", "/containers/{id}/archive", YES),
    route("PUT", "/containers/{id}/archive", YES),
    route("POST", "/containers/prune", YES),
    route("GET", "/images/json", YES),
    route("POST", "/build", BUILD),
    route("POST", "/build/prune", YES),
    route("POST", "/build/cancel", BUILD),
    route("POST", "/images/create", YES),
    // An image's name may have slashes: inspect, history, push, tag and save are told apart below these.
    route("GET", "/images/{*name}", YES),
    route("POST", "/images/{*name}", YES),
    route("DELETE", "/images/{*name}", YES),
    route("GET", "/images/search", SEARCH),
    route("POST", "/images/prune", YES),
    route("POST", "/auth", YES),
    route("GET", "/info", YES),
    route("GET", "/version", YES),
    route("GET", "/_ping", YES),
    route("HEAD", "/_ping", YES),
    route("POST", "/commit", YES),
    route("GET", "/events", YES),
    route("GET", "/system/df", YES),
    route("GET", "/images/get", YES),
    route("POST", "/images/load", YES),
    route("POST", "/containers/{id}/exec", YES),
    route("POST", "/exec/{id}/start", YES),
    route("POST", "/exec/{id}/resize", YES),
    route("GET", "/exec/{id}/json", YES),
    route("GET", "/volumes", YES),
    route("POST", "/volumes/create", YES),
    route("GET", "/volumes/{name}", YES),
    route("PUT", "/volumes/{name}", SWARM),
    route("DELETE", "/volumes/{name}", YES),
    route("POST", "/volumes/prune", YES),
    route("GET", "/networks", YES),
    route("GET", "/networks/{id}", YES),
    route("DELETE", "/networks/{id}", YES),
    route("POST", "/networks/create", YES),
    route("POST", "/networks/{id}/connect", YES),
    route("POST", "/networks/{id}/disconnect", YES),
    route("POST", "/networks/prune", YES),
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
