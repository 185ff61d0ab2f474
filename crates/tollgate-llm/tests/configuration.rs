//! Configuration, with the real providers and catalog: our own file, LiteLLM's, and what is said of mistakes.

mod shared;

use tollgate_core::config::resolve::{Overrides, World, resolve};
use tollgate_core::config::snapshot::Snapshot;
use tollgate_core::config::{Loaded, parse};
use tollgate_llm::{catalog, providers};
use tollgate_testkit::FakeEnvironment;

fn environment() -> FakeEnvironment {
    FakeEnvironment::of(&[
        ("OPENAI_API_KEY", "sk-openai"),
        ("ANTHROPIC_API_KEY", "sk-ant"),
        ("MASTER", "sk-master"),
    ])
}

fn read_in(
    environment: &FakeEnvironment,
    text: &str,
    overrides: &Overrides,
) -> Result<(Snapshot, Loaded), String> {
    let world = World {
        environment,
        providers: &providers::Table,
        catalog: &catalog::BuiltIn,
        expressions: &tollgate_core::policy::NoExpressions,
    };
    let loaded = parse("tollgate.yaml", text).map_err(|e| e.to_string())?;
    let snapshot = resolve("tollgate.yaml", text, &loaded, overrides, world).map_err(|e| e.to_string())?;
    Ok((snapshot, loaded))
}

fn read(text: &str) -> Result<(Snapshot, Loaded), String> {
    read_in(&environment(), text, &Overrides::default())
}

const ONE: &str = "models: { m: [{ provider: openai, model: gpt-4o }] }\n";

#[test]
fn the_shortest_file_has_every_default() {
    let (snapshot, _) = read(ONE).unwrap();
    assert_eq!(snapshot.listen.to_string(), "127.0.0.1:4000");
    let deployment = &snapshot.models.find("m").unwrap().model.deployments[0];
    assert_eq!((&*deployment.id, &*deployment.base_url), ("openai/gpt-4o", "https://api.openai.com/v1"));
    assert_eq!(deployment.api_key.as_ref().unwrap().expose(), "sk-openai");
    assert_eq!(deployment.facts.max_output_tokens, Some(16384));
    assert!(snapshot.master_key.is_none());
}

#[test]
fn mistakes_are_named_with_line_snippet_and_the_nearest_name() {
    let cases = [
        (
            "modles: {}\n",
            "tollgate.yaml:1:1: unknown member `modles`\n  1 | modles: {}\n  did you mean `models`?",
        ),
        (
            "models:\n  m:\n    - { provider: openai, wieght: 3 }\n",
            "tollgate.yaml:3:27: unknown member `wieght`\n  3 |     - { provider: openai, wieght: 3 }\n  did you mean `weight`?",
        ),
        (
            "models:\n  m:\n    - { provider: opnai }\n",
            "tollgate.yaml:3:19: unknown provider `opnai`\n  3 |     - { provider: opnai }\n  did you mean `openai`?",
        ),
        ("models:\n  m:\n    - { provider: replicate }\n", "unknown provider `replicate`"),
        ("models: {}\n", "no models and no tool servers are configured"),
        ("models: { m: [] }\n", "has no deployments"),
        ("models: { m: [{ provider: openai_compatible }] }\n", "needs a `base_url`"),
        (
            "models: { m: [{ provider: openai, base_url: 'ftp://x' }] }\n",
            "must begin with http:// or https://",
        ),
        (
            "models: { m: [{ provider: openai, base_url: 'https://user:pw@x' }] }\n",
            "neither a query nor a user",
        ),
        ("models: { m: [{ provider: openai, api_key: '${NOT_THERE}' }] }\n", "NOT_THERE is not set"),
        ("models: { m: [{ provider: openai, api_key: { file: /nowhere } }] }\n", "/nowhere cannot be read"),
        (
            "models: { m: [{ provider: openai, price: { input_usd_per_mtok: 0.0000001, output_usd_per_mtok: 1 } }] }\n",
            "finer than a pico-dollar",
        ),
        (
            "models: { m: [{ provider: openai, format: anthropic_messages }] }\n",
            "does not speak `anthropic_messages`",
        ),
        ("models: { m: [{ provider: openai, model: '*' }] }\n", "has no `*`"),
        (
            "models: { m: [{ provider: openai }] }\nrouting: { fallbacks: { m: [k] } }\n",
            "names the model `k`, which is not configured",
        ),
        ("models: { m: [{ provider: openai }] }\nmodels: {}\n", "the same member twice"),
        ("models: { m: [{ provider: openai }] }\nlisten: 0.0.0.0:4000\n", "no master key is configured"),
        ("models: { m: [{ provider: openai }] }\nlisten: everywhere\n", "no address to listen on"),
        ("models: { m: [{ provider: openai }] }\nmaster_key: ${NOPE}\n", "the master key: NOPE is not set"),
        ("models: { m: [{ provider: openai }] }\nmaster_key: 1234\n", "put it in quotes"),
        ("models: { m: { provider: openai } }\n", "a list is expected here"),
        ("models: { m: [{ provider: openai, weight: heavy }] }\n", "a whole number is expected here"),
        ("models: { m: [{ provider: openai, api_key: $OPENAI_API_KEY }] }\n", "a variable is `${NAME}`"),
        ("---\nmodels: {}\n---\nx: 1\n", "one file holds one document"),
        ("general_settings: { master_key: sk-1 }\n", "models in a database"),
        ("models: [\n", "tollgate.yaml:"),
        ("", "no models and no tool servers are configured"),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}\n→ {error}");
    }
}

/// Promise 6: a mistake beside a secret, or in one, does not print it.
#[test]
fn no_error_shows_a_secret() {
    for text in [
        "models:\n  m:\n    - { provider: openai, api_key: sk-very-secret, wieght: 3 }\n",
        "models:\n  m:\n    - { provider: openai, api_key: [sk-very-secret] }\n",
        "models:\n  m:\n    - { provider: openai, api_key: \"sk-very-secret\\n\" }\n",
        "master_key: sk-very-secret\nmodels: { m: [{ provider: nope }] }\n",
        "model_list:\n  - model_name: m\n    litellm_params: { model: openai/x, api_key: sk-very-secret, modl: 1 }\n",
    ] {
        let result = read(text);
        assert!(!format!("{result:?}").contains("very-secret"), "{result:?}");
    }
}

#[test]
fn credentials_and_addresses_come_from_the_environment_or_a_file() {
    let mut environment = environment();
    environment.variables.insert("OPENAI_BASE_URL".into(), "http://proxy.example/v1/".into());
    environment.variables.insert("HOST".into(), "a.example".into());
    environment.files.insert("/run/key".into(), "sk-from-file\n".into());
    let text = "master_key: ${MASTER}\nmodels:\n  a: [{ provider: openai }]\n  b: [{ provider: openai, base_url: 'https://${HOST}/v1', api_key: { file: /run/key } }]\n";
    let (snapshot, _) =
        read_in(&environment, text, &Overrides { host: Some("0.0.0.0".into()), port: Some(80) }).unwrap();
    let deployment = |name: &str| snapshot.models.find(name).unwrap().model.deployments[0].clone();
    assert_eq!(
        (&*deployment("a").base_url, &*deployment("a").id),
        ("http://proxy.example/v1", "openai/a@proxy.example/v1")
    );
    assert_eq!(&*deployment("b").base_url, "https://a.example/v1");
    assert_eq!(deployment("b").api_key.as_ref().unwrap().expose(), "sk-from-file");
    assert_eq!(snapshot.listen.to_string(), "0.0.0.0:80");
    assert!(snapshot.master_key.as_ref().unwrap().matches(b"sk-master"));
}

const LITELLM: &str = "
model_list:
  - model_name: gpt
    litellm_params: { model: azure/gpt-4o, api_base: https://x, api_key: os.environ/AZURE_KEY, api_version: '2025' }
  - model_name: gpt
    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 6, temperature: 0.2, timeout: 2.5 }
  - model_name: gpt
    litellm_params: { model: gpt-4o-mini, rpm: 18, order: 2, input_cost_per_token: 1.5e-07, output_cost_per_token: 0.0000006 }
  - model_name: openai/*
    litellm_params: { model: openai/*, organization: org-1 }
  - model_name: claude
    litellm_params: { model: anthropic/claude-sonnet-4-5, api_key: os.environ/NOT_SET }
  - model_name: dall-e-3
    litellm_params: { model: openai/dall-e-3 }
    model_info: { mode: image_generation }
  - model_name: talk
    litellm_params: { model: openai/tts-1 }
    model_info: { mode: audio_speech }
litellm_settings: { num_retries: 5, request_timeout: 600, drop_params: true, callbacks: [otel], fallbacks: [{ gpt: [claude] }] }
router_settings: { num_retries: 3, allowed_fails: 1, cooldown_time: 60, routing_strategy: latency-based-routing, redis_host: x, model_group_alias: { gpt-4: gpt } }
general_settings: { master_key: sk-1234, database_url: 'postgresql://u:db-written-out@h/d' }
";

#[test]
fn a_litellm_file_runs_as_it_is() {
    let (snapshot, loaded) = read(LITELLM).unwrap();
    let deployments = |name: &str| snapshot.models.find(name).unwrap().model.deployments.clone();
    let gpt = deployments("gpt");
    assert_eq!(
        gpt.iter().map(|d| &*d.id).collect::<Vec<_>>(),
        ["azure/gpt-4o@x", "openai/gpt-4o", "openai/gpt-4o-mini"]
    );
    assert!(gpt[0].unavailable.as_ref().unwrap().contains("AZURE_KEY is not set"));
    assert_eq!(gpt[0].api_version.as_deref(), Some("2025"));
    assert_eq!(
        (gpt[1].weight, gpt[2].weight, gpt[2].order),
        (6, 18, 2),
        "shared by rpm where no weight is given"
    );
    assert_eq!(gpt[1].timeouts.first_byte.as_millis(), 2500);
    assert_eq!(gpt[2].facts.price.as_ref().unwrap().rates.input, 150_000);
    assert_eq!(deployments("gpt-4").len(), 3, "an alias");
    assert!(deployments("claude")[0].unavailable.as_ref().unwrap().contains("NOT_SET is not set"));
    assert_eq!(deployments("dall-e-3")[0].unavailable, None);
    assert!(deployments("talk")[0].unavailable.as_ref().unwrap().contains("audio_speech"));
    assert_eq!(&*deployments("openai/o3")[0].model_for(Some("o3")), "o3");
    assert_eq!(
        (
            snapshot.routing.retries,
            snapshot.routing.rules.allowed_fails,
            snapshot.routing.rules.cooldown.as_secs()
        ),
        (3, 1, 60)
    );
    assert_eq!(snapshot.routing.fallbacks["gpt"], ["claude"]);
    assert!(snapshot.drop_params && snapshot.master_key.is_some());
    assert_eq!(snapshot.database_url.unwrap().expose(), "postgresql://u:db-written-out@h/d");
    let expected = [
        "litellm_settings.callbacks",
        "router_settings.redis_host",
        "model_list[gpt].litellm_params.temperature",
    ];
    assert_eq!(loaded.not_acted_on, expected);
}

/// LiteLLM leaves out what it cannot serve and serves the rest: so do we, and say what is missing.
#[test]
fn what_a_litellm_file_names_and_we_cannot_serve_is_out_of_service() {
    for (params, why) in [
        ("{ model: mystery }", "does not say which provider"),
        ("{ model: '*' }", "does not say which provider"),
        ("{ model: voyage/voyage-3 }", "`voyage` is not supported"),
        ("{ model: openai/x, api_base: os.environ/NOT_SET }", "NOT_SET is not set"),
        ("{ model: openai/x, extra_headers: { x-a: os.environ/NOT_SET } }", "NOT_SET is not set"),
        ("{ model: openai/x, api_base: not-a-url }", "the base URL of provider `openai` is wrong"),
    ] {
        let name = if params.contains('*') { "'*'" } else { "m" };
        let text = format!(
            "model_list:\n  - {{ model_name: {name}, litellm_params: {params} }}\nenvironment_variables: {{ PORT: 6379, DEBUG: true }}\n"
        );
        let (snapshot, _) = read(&text).unwrap();
        let unavailable =
            snapshot.models.find("m").unwrap().model.deployments[0].unavailable.clone().unwrap();
        assert!(unavailable.contains(why), "{params}: {unavailable}");
    }
}

#[test]
fn mistakes_in_a_litellm_file_are_named_too() {
    let cases = [
        (
            "model_list:\n  - model_name: m\n    litellm_params:\n      modle: openai/x\n",
            "tollgate.yaml:4:7: unknown member `modle`\n  4 |       modle: …\n  did you mean `model`?",
        ),
        ("model_list: []\nrouter_settings: { num_retrys: 3 }\n", "did you mean `num_retries`?"),
        ("model_list:\n  - litellm_params: { model: openai/x }\n", "no `model_name`"),
        (
            "model_list:\n  - model_name: m\n    litellm_params: { model: opnai/x }\n",
            "did you mean `openai`?",
        ),
        (
            "model_list:\n  - model_name: m\n    litellm_params: { model: openai/x, rpm: many }\n",
            "tollgate.yaml:3:",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}\n→ {error}");
    }
}

#[test]
fn the_posts_file_loads_byte_for_byte() {
    let Some(post) = shared::read("posts/litellm-and-agentgateway.txt") else { return };
    let (_, after) = post.split_once("Create litellm_config.yaml:\n").unwrap();
    let (file, _) = after.split_once("\nA few things").unwrap();
    let (snapshot, loaded) = read(file).unwrap();
    assert_eq!(snapshot.models.names().collect::<Vec<_>>(), ["claude", "gemini", "gpt-4o"]);
    assert!(snapshot.master_key.unwrap().matches(b"sk-xxxx"));
    assert!(loaded.not_acted_on.is_empty());
    let gemini = &snapshot.models.find("gemini").unwrap().model.deployments[0];
    assert!(gemini.unavailable.is_some(), "it loads now and answers later");
}

/// What is written means what was read.
#[test]
fn a_litellm_file_is_written_as_our_own() {
    let text = LITELLM
        .replace("os.environ/NOT_SET", "sk-written-out")
        .replace("os.environ/AZURE_KEY", "az-written-out");
    let loaded = parse("litellm.yaml", &text).unwrap();
    let written = tollgate_core::config::write::write(&loaded.file).unwrap();
    assert!(!written.yaml.contains("written-out") && !written.yaml.contains("sk-1234"), "{}", written.yaml);
    let variables: Vec<&str> = written.variables.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        variables,
        [
            "TOLLGATE_MASTER_KEY",
            "DATABASE_URL",
            "ANTHROPIC_API_KEY",
            "AZURE_API_KEY",
            "AZURE_API_KEY_2",
            "OPENAI_HEADER_OPENAI_ORGANIZATION"
        ]
    );
    assert!(written.left_out[0].contains("audio_speech"), "{:?}", written.left_out);
    let mut environment = environment();
    for (name, value) in [
        ("TOLLGATE_MASTER_KEY", "sk-1234"),
        ("DATABASE_URL", "postgresql://u:db-written-out@h/d"),
        ("ANTHROPIC_API_KEY", "sk-written-out"),
        ("AZURE_API_KEY", "az-written-out"),
        ("AZURE_API_KEY_2", "az-written-out"),
        ("OPENAI_HEADER_OPENAI_ORGANIZATION", "org-1"),
    ] {
        environment.variables.insert(name.into(), value.into());
    }
    let (ours, loaded) = read_in(&environment, &written.yaml, &Overrides::default()).unwrap();
    assert!(loaded.not_acted_on.is_empty() && !loaded.lenient);
    let (theirs, _) = read_in(&environment, &text, &Overrides::default()).unwrap();
    assert_eq!(ours.database_url, theirs.database_url);
    let told = |snapshot: &Snapshot| {
        let models = snapshot.models.iter().filter(|model| &*model.name != "talk");
        let models: Vec<String> = models.map(|model| format!("{model:?}")).collect();
        format!("{models:?} {:?} {:?} {}", snapshot.routing, snapshot.timeouts, snapshot.drop_params)
    };
    assert_eq!(told(&ours), told(&theirs));
}
