//! Models that admins add: the words of the file, nothing of the gate's environment, and only what may be reached.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_core::access::SpecError;
use tollgate_core::config::added::{Ground, Opened, model};
use tollgate_core::config::parse;
use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::{Deployment, Origin, Snapshot};
use tollgate_core::egress::{Host, Reach};
use tollgate_core::secret::Secret;
use tollgate_llm::{catalog, providers};
use tollgate_testkit::FakeEnvironment;

/// A file in an environment that has every secret that somebody might wish for.
fn file(text: &str) -> Snapshot {
    let environment = FakeEnvironment::of(&[
        ("OPENAI_API_KEY", "sk-of-the-gate"),
        ("OPENAI_BASE_URL", "http://of-the-gate.example"),
        ("AZURE_API_BASE", "http://of-the-gate.example"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "of-the-gate"),
        ("AWS_REGION", "us-east-1"),
        ("GOOGLE_CLOUD_PROJECT", "of-the-gate"),
    ]);
    let world = World {
        environment: &environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let text = format!("models: {{ sim: [{{ provider: simulator }}] }}\n{text}");
    let loaded = parse("test.yaml", &text).unwrap();
    resolve("test.yaml", &text, &loaded, &Overrides::default(), world).unwrap()
}

/// Two credentials: `main` for OpenAI, `inside` for hosts in a private network.
fn open(id: &str) -> Result<Opened, String> {
    let hosts: &[&str] = match id {
        "main" => &["api.openai.com"],
        "inside" => &["localhost:8000", "10.0.0.5:8000", "127.0.0.1", "vllm.internal", "1.1.1.1"],
        "any" => &[
            "acme.openai.azure.com",
            "bedrock-runtime.eu-west-1.amazonaws.com",
            "us-central1-aiplatform.googleapis.com",
        ],
        _ => return Err(format!("there is no credential `{id}`")),
    };
    let hosts = hosts.iter().map(|host| Host::try_from((*host).to_owned()).unwrap()).collect();
    Ok(Opened { secret: Secret::new("sk-added"), hosts })
}

fn added(file: &Snapshot, deployment: Value) -> Result<Arc<Deployment>, SpecError> {
    let ground = Ground { file, providers: &providers::Table, catalog: &catalog::BuiltIn };
    let spec = serde_json::from_value(json!({ "deployments": [deployment] })).unwrap();
    let model = model(ground, "m", &spec, &open)?;
    assert_eq!(model.origin, Origin::Added);
    Ok(Arc::clone(&model.deployments[0]))
}

/// What is wrong with a deployment, and where.
fn refused(file: &Snapshot, deployment: Value) -> String {
    let shown = deployment.to_string();
    match added(file, deployment) {
        Ok(deployment) => panic!("{shown} was taken: {deployment:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_words_are_those_of_the_file() {
    let file = file("timeouts: { connect_ms: 77 }");
    let deployment = added(
        &file,
        json!({
            "provider": "openai", "model": "gpt-4o", "credential": "main", "weight": 3, "order": 1, "rpm": 5,
            "price": { "input_usd_per_mtok": 10, "output_usd_per_mtok": "30" }, "headers": { "x-team": "a" },
            "timeouts": { "idle_ms": 5 }, "stream_usage": false, "format": "openai_responses",
        }),
    )
    .unwrap();
    assert_eq!((&*deployment.id, &*deployment.base_url), ("openai/gpt-4o", "https://api.openai.com/v1"));
    assert_eq!(deployment.api_key.as_ref().unwrap().expose(), "sk-added", "not that of the gate");
    assert_eq!((deployment.weight, deployment.order, deployment.rpm), (3, 1, Some(5)));
    assert_eq!(deployment.timeouts.connect.as_millis(), 77, "what the file says of all deployments holds");
    assert_eq!(deployment.timeouts.idle.as_millis(), 5);
    assert_eq!(deployment.facts.price.as_ref().unwrap().rates.input, 10_000_000);
    assert_eq!(deployment.reach, Reach::Public);
    let error =
        refused(&file, json!({ "provider": "openai", "credential": "main", "price": { "input": 1 } }));
    assert!(error.starts_with("deployments[0]: unknown member `input`"), "{error}");
    let error = refused(&file, json!({ "provider": "openai", "credential": "main", "weight": "x" }));
    assert!(error.contains("a whole number is expected"), "{error}");
}

/// Whoever may add models does not thereby read the gate's environment or files, nor use the machine's identity.
#[test]
fn nothing_of_the_gates_environment_is_read() {
    let file = file("egress: { private_addresses: true }");
    for (deployment, member) in [
        (
            json!({ "provider": "openai", "credential": "main", "base_url": "https://${HOME}.example" }),
            "base_url",
        ),
        (
            json!({ "provider": "openai", "credential": "main", "base_url": "os.environ/OPENAI_BASE_URL" }),
            "base_url",
        ),
        (json!({ "provider": "openai", "credential": "main", "model": "${HOME}" }), "model"),
        (
            json!({ "provider": "openai", "credential": "main", "headers": { "x-a": "${HOME}" } }),
            "headers.x-a",
        ),
        (
            json!({ "provider": "openai", "credential": "main", "headers": { "x-a": { "file": "/etc/passwd" } } }),
            "headers.x-a",
        ),
        (
            json!({ "provider": "bedrock", "credential": "any", "aws": { "region": "${AWS_REGION}" } }),
            "aws.region",
        ),
        (
            json!({ "provider": "bedrock", "aws": { "region": "eu-west-1", "access_key_id": "x" } }),
            "aws.access_key_id",
        ),
        (
            json!({ "provider": "vertex_ai", "google": { "credentials": { "file": "/etc/passwd" } } }),
            "google.credentials",
        ),
        (json!({ "provider": "azure", "azure": { "client_secret": "x" } }), "azure.client_secret"),
        (json!({ "provider": "openai", "api_key": { "file": "/etc/passwd" } }), "api_key"),
        // None of these falls back to what the environment or the machine has.
        (json!({ "provider": "openai" }), "credential"),
        (json!({ "provider": "bedrock", "aws": { "region": "eu-west-1" } }), "credential"),
        (json!({ "provider": "vertex_ai", "google": { "project": "p" } }), "credential"),
        (json!({ "provider": "azure" }), "credential"),
    ] {
        let error = refused(&file, deployment);
        assert!(error.starts_with(&format!("deployments[0].{member}: ")), "{error}");
        assert!(!error.contains("of-the-gate"), "{error}");
    }
    for deployment in [
        json!({ "provider": "azure", "credential": "any" }),
        json!({ "provider": "bedrock", "credential": "any" }),
        json!({ "provider": "vertex_ai", "credential": "any" }),
    ] {
        let error = refused(&file, deployment);
        assert!(error.contains("needs a `base_url`") || error.contains("it needs a"), "{error}");
    }
    let ours = added(&file, json!({ "provider": "openai", "credential": "main" })).unwrap();
    assert_eq!(&*ours.base_url, "https://api.openai.com/v1", "not OPENAI_BASE_URL");
}

#[test]
fn clouds_take_a_key_and_what_is_said_of_the_place() {
    let file = file("");
    for (deployment, base_url) in [
        (
            json!({ "provider": "bedrock", "credential": "any", "aws": { "region": "eu-west-1" } }),
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            json!({ "provider": "azure", "credential": "any", "base_url": "https://acme.openai.azure.com", "azure": { "api_version": "v" } }),
            "https://acme.openai.azure.com",
        ),
    ] {
        let deployment = added(&file, deployment).unwrap();
        assert_eq!((&*deployment.base_url, deployment.cloud.is_none()), (base_url, true));
    }
    let vertex = json!({ "provider": "vertex_ai", "credential": "any", "google": { "project": "p" } });
    assert!(added(&file, vertex).unwrap().cloud.is_none());
}

/// Promise 6: a stored credential is only ever sent to the hosts that it was stored for.
#[test]
fn a_credential_goes_to_its_hosts_only() {
    let file = file("egress: { private_addresses: true }");
    for base_url in [
        "https://evil.example/v1",
        "https://api.openai.com.evil.example/v1",
        "https://api.openai.com:8443/v1",
        "https://evil.example/?api.openai.com",
        "https://api.openai.com@evil.example/v1",
        "https://api.openai.com./v1",
        "https://api.openai.com/v1#",
    ] {
        let error =
            refused(&file, json!({ "provider": "openai", "credential": "main", "base_url": base_url }));
        assert!(error.contains("it is not for") || error.contains("neither a query nor a user"), "{error}");
    }
    // Another provider has another address.
    let error = refused(&file, json!({ "provider": "groq", "credential": "main" }));
    assert!(error.contains("it is not for api.groq.com, but for api.openai.com"), "{error}");
}

#[test]
fn only_public_addresses_unless_the_file_names_the_host() {
    let compatible = |base_url: &str, credential: Option<&str>| {
        let mut said = json!({ "provider": "openai_compatible", "base_url": base_url });
        if let Some(id) = credential {
            said["credential"] = json!(id);
        }
        said
    };
    let closed = file("");
    for base_url in
        ["http://localhost:8000/v1", "http://vllm.internal/v1", "http://1.1.1.1/v1", "http://8.8.8.8/v1"]
    {
        let error = refused(&closed, compatible(base_url, None));
        assert!(error.contains("deployments[0].base_url: https:// is expected"), "{error}");
    }
    for base_url in [
        "https://127.0.0.1/v1",
        "https://10.0.0.5:8000",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        let error = refused(&closed, compatible(base_url, None));
        assert!(error.contains("which is not public"), "{error}");
    }
    // A name is looked up when it is connected to.
    assert_eq!(added(&closed, compatible("https://vllm.internal", None)).unwrap().reach, Reach::Public);
    // A provider whose own address is on this machine is no exception.
    assert!(refused(&closed, json!({ "provider": "ollama" })).contains("https:// is expected"));

    let named = file("egress: { private_hosts: [\"localhost:8000\", vllm.internal] }");
    let reach = |base_url: &str, credential| added(&named, compatible(base_url, credential)).unwrap().reach;
    assert_eq!(reach("http://localhost:8000/v1", Some("inside")), Reach::Private);
    assert_eq!(reach("https://vllm.internal", Some("inside")), Reach::Anywhere);
    assert!(refused(&named, compatible("http://localhost:8001/v1", None)).contains("https:// is expected"));

    let open = file("egress: { private_addresses: true }");
    let reach = |base_url: &str| added(&open, compatible(base_url, Some("inside"))).map(|one| one.reach);
    assert_eq!(reach("http://10.0.0.5:8000"), Ok(Reach::Private));
    // A secret that goes out without TLS stays inside.
    assert!(reach("http://1.1.1.1").unwrap_err().to_string().contains("wants https://"));
}

#[test]
fn headers_that_are_not_a_models_to_set() {
    let file = file("");
    for name in [
        "Host",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Proxy-Authorization",
        "Authorization",
        "X-Api-Key",
        "api-key",
        "x-goog-api-key",
        "Cookie",
        "Content-Length",
        "X-Tollgate-Via",
        "x-secret",
        "x-auth-token",
    ] {
        let error = refused(&file, json!({ "provider": "simulator", "headers": { name: "v" } }));
        assert!(error.starts_with(&format!("deployments[0].headers.{name}: ")), "{error}");
    }
    assert!(added(&file, json!({ "provider": "simulator", "headers": { "anthropic-beta": "v" } })).is_ok());
}

/// What the file says of a name goes before what was added.
#[test]
fn the_file_goes_first() {
    let file = file("");
    let ground = Ground { file: &file, providers: &providers::Table, catalog: &catalog::BuiltIn };
    let spec =
        serde_json::from_value(json!({ "deployments": [{ "provider": "simulator", "model": "added" }] }))
            .unwrap();
    let models = ["sim", "other", "other/*"].map(|name| model(ground, name, &spec, &open).unwrap());
    let snapshot = file.with(models.into(), false);
    let serves =
        |name: &str| snapshot.models.find(name).map(|found| found.model.deployments[0].model.to_string());
    assert_eq!(serves("sim").as_deref(), Some("sim"));
    assert_eq!((serves("other").as_deref(), serves("other/x").as_deref()), (Some("added"), Some("added")));
    assert_eq!(serves("nothing"), None);
}
