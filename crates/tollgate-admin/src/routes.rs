//! Every path, who may use it, and what answers. A route cannot be added without saying who may.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use axum::{RequestExt, Router};
use http::Method;
use tollgate_core::access::HolderKind;
use tollgate_core::addition::AdditionKind;

use crate::error::ApiError;
use crate::who::{Needs, Who};
use crate::{
    Sources, additions, alerts, approvals, calls, clients, contracts, holders, instances, litellm, logins,
    openapi, signing_keys, spend, tail,
};

/// One route.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) needs: Needs,
    answers: MethodRouter<Sources>,
}

/// Every route.
pub(crate) fn all() -> Vec<Route> {
    let route = |method: Method, path: &str, needs: Needs, answers: MethodRouter<Sources>| Route {
        method,
        path: format!("/api/v1{path}"),
        needs,
        answers,
    };
    let mut routes = vec![
        route(Method::GET, "/calls", Needs::ToAudit, get(calls::list)),
        route(Method::GET, "/calls/{id}", Needs::ToAudit, get(calls::one)),
        route(Method::GET, "/traces/{id}", Needs::ToAudit, get(calls::trace)),
        route(Method::GET, "/content/{instance}/{name}", Needs::ToAudit, get(calls::content)),
        route(Method::GET, "/tail", Needs::ToAudit, get(tail::tail)),
        route(Method::GET, "/spend", Needs::ToSeeOwn, get(spend::list)),
        route(Method::GET, "/instances", Needs::ToAudit, get(instances::list)),
        route(Method::POST, "/instances/{id}/release", Needs::ToManage, post(instances::release)),
        route(Method::POST, "/alerts/test", Needs::ToManage, post(alerts::test)),
        route(Method::POST, "/keys/{id}/rotate", Needs::ToManageKeys, post(holders::rotate)),
    ];
    for (kind, path, changes) in [
        (HolderKind::Key, "/keys", Needs::ToManageKeys),
        (HolderKind::User, "/users", Needs::ToManage),
        (HolderKind::Team, "/teams", Needs::ToManage),
    ] {
        let one = format!("{path}/{{id}}");
        routes.extend([
            route(Method::GET, path, Needs::ToSeeOwn, get(move |s, w, q| holders::list(kind, s, w, q))),
            route(Method::POST, path, changes, post(move |s, w, b| holders::create(kind, s, w, b))),
            route(Method::GET, &one, Needs::ToSeeOwn, get(move |s, w, id| holders::one(kind, s, w, id))),
            route(
                Method::PATCH,
                &one,
                changes,
                patch(move |s, w, id, h, b| holders::change(kind, s, w, id, h, b)),
            ),
            route(
                Method::DELETE,
                &one,
                changes,
                delete(move |s, w, id, h| holders::remove(kind, s, w, id, h)),
            ),
        ]);
    }
    for (kind, path, one) in [
        (AdditionKind::Model, "/models", "/models/{name}"),
        (AdditionKind::Credential, "/credentials", "/credentials/{id}"),
    ] {
        let (read, write) = (Needs::ToAudit, Needs::ToManage);
        routes.extend([
            route(Method::GET, path, read, get(move |s, q| additions::list(kind, s, q))),
            route(Method::POST, path, write, post(move |s, w, b| additions::create(kind, s, w, b))),
            route(Method::GET, one, read, get(move |s, id| additions::one(kind, s, id))),
            route(
                Method::PATCH,
                one,
                write,
                patch(move |s, w, id, h, b| additions::change(kind, s, w, id, h, b)),
            ),
            route(
                Method::DELETE,
                one,
                write,
                delete(move |s, w, id, h| additions::remove(kind, s, w, id, h)),
            ),
        ]);
    }
    let login = "/users/{id}/login";
    routes.extend([
        route(Method::POST, "/users/{id}/invitation", Needs::ToManage, post(logins::invite)),
        route(Method::GET, login, Needs::ToAudit, get(logins::one)),
        route(Method::PATCH, login, Needs::ToManage, patch(logins::change)),
        route(Method::DELETE, login, Needs::ToManage, delete(logins::remove)),
        route(Method::POST, &format!("{login}/end"), Needs::ToManage, post(logins::end)),
        route(Method::GET, "/signing-keys", Needs::ToAudit, get(signing_keys::list)),
        route(Method::DELETE, "/signing-keys/{id}", Needs::ToManage, delete(signing_keys::withdraw)),
        route(Method::GET, "/clients/{id}/rehearsal", Needs::ToAudit, get(clients::rehearsal)),
    ]);
    let contract = "/tools/contracts/{server}/{tool}";
    routes.extend([
        route(Method::GET, "/tools/contracts", Needs::ToAudit, get(contracts::list)),
        route(Method::GET, "/tools/lock", Needs::ToAudit, get(contracts::locked)),
        route(Method::GET, contract, Needs::ToAudit, get(contracts::one)),
        route(Method::POST, &format!("{contract}/approve"), Needs::ToManage, post(contracts::approve)),
        route(Method::POST, &format!("{contract}/reject"), Needs::ToManage, post(contracts::reject)),
        route(Method::DELETE, contract, Needs::ToManage, delete(contracts::forget)),
    ]);
    let approval = "/approvals/{id}";
    let decide = |approve| post(move |s, w, id, h, b| approvals::decide(approve, s, w, id, h, b));
    routes.extend([
        route(Method::GET, "/approvals", Needs::ToAudit, get(approvals::list)),
        route(Method::GET, approval, Needs::ToAudit, get(approvals::one)),
        route(Method::POST, &format!("{approval}/approve"), Needs::ToManage, decide(true)),
        route(Method::POST, &format!("{approval}/deny"), Needs::ToManage, decide(false)),
    ]);
    routes.extend([(openapi::DOCUMENT, get(openapi::document)), (openapi::PAGE, get(openapi::page))].map(
        |(path, answers)| Route {
            method: Method::GET,
            path: path.to_owned(),
            needs: Needs::Nothing,
            answers,
        },
    ));
    let theirs = litellm::routes().into_iter();
    routes.extend(theirs.map(|(method, path, needs, answers)| Route {
        method,
        path: path.to_owned(),
        needs,
        answers,
    }));
    routes
}

/// Every path, for advice.
pub(crate) fn paths() -> Vec<String> {
    let mut paths: Vec<String> = all().into_iter().map(|route| route.path).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What answers at every path.
pub(crate) fn router() -> Router<Sources> {
    all().into_iter().fold(Router::new(), |router, Route { path, needs, answers, .. }| {
        let guarded = answers.layer(from_fn(move |request, next| guard(needs, request, next)));
        router.route(&path, guarded)
    })
}

/// Lets in whoever has what the route needs.
async fn guard(needs: Needs, mut request: Request, next: Next) -> Response {
    if needs == Needs::Nothing {
        return next.run(request).await;
    }
    let who = match request.extract_parts::<Who>().await {
        Ok(who) => who,
        Err(error) => return error.into_response(),
    };
    if needs.is_met_by(who.role()) {
        return next.run(request).await;
    }
    ApiError::forbidden(format!("a key with the role `{}` may not do this", who.role().name()))
        .into_response()
}
