//! A LiteLLM `config.yaml`, and what our own file would say instead.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_saphyr::Spanned;

use super::file::{
    Aws, Azure, Deployment, Fallbacks, File, Google, PriceWritten, Routing, Strategy, Timeouts,
};
use super::litellm_keys::{NotActedOn, section};
use super::{ConfigError, Loaded, SecretRef};

/// Whether `text` is a LiteLLM file: one of its sections stands at its top.
pub fn is_litellm(text: &str) -> bool {
    const SECTIONS: [&str; 4] = ["model_list:", "litellm_settings:", "general_settings:", "router_settings:"];
    text.lines().any(|line| SECTIONS.iter().any(|section| line.starts_with(section)))
}

section! {
    /// The whole file.
    Written {
        model_list: Vec<ModelEntry>,
        general_settings: GeneralSettings,
        litellm_settings: LitellmSettings,
        router_settings: RouterSettings,
    } not acted on {
        environment_variables callback_settings guardrails mcp_servers mcp_tools vector_store_registry prompts search_tools agent_list
        credential_list assistant_settings finetune_settings files_settings include policies
    }
}

section! {
    /// One entry of `model_list`.
    ModelEntry {
        model_name: Spanned<String>,
        litellm_params: LitellmParams,
        model_info: ModelInfo,
    } not acted on { tpm rpm }
}

section! {
    /// `litellm_params`.
    LitellmParams {
        model: Spanned<String>,
        api_key: Spanned<SecretRef>,
        api_base: Spanned<String>,
        base_url: Spanned<String>,
        custom_llm_provider: String,
        rpm: u64,
        tpm: u64,
        weight: Weight,
        order: i32,
        timeout: Seconds,
        stream_timeout: Seconds,
        organization: SecretRef,
        extra_headers: BTreeMap<String, SecretRef>,
        input_cost_per_token: Scalar,
        output_cost_per_token: Scalar,
        output_cost_per_image: Scalar,
        api_version: String,
        azure_ad_token: SecretRef,
        tenant_id: String,
        client_id: String,
        client_secret: SecretRef,
        aws_access_key_id: SecretRef,
        aws_secret_access_key: SecretRef,
        aws_session_token: SecretRef,
        aws_region_name: String,
        aws_bedrock_runtime_endpoint: Spanned<String>,
        vertex_project: String,
        vertex_location: String,
        vertex_credentials: SecretRef,
    } not acted on {
        azure_username azure_password azure_scope aws_role_name aws_session_name
        aws_profile_name aws_web_identity_token aws_sts_endpoint aws_external_id
        region_name watsonx_region_name gcs_bucket_name
        max_retries num_retries cooldown_time max_parallel_requests tags drop_params additional_drop_params
        allowed_openai_params mock_response mock_timeout temperature top_p top_k max_tokens max_completion_tokens
        stop seed user response_format tools tool_choice reasoning_effort thinking presence_penalty
        frequency_penalty n logit_bias extra_body metadata modify_params use_in_pass_through use_litellm_proxy
        litellm_credential_name litellm_trace_id cache_control_injection_points max_budget budget_duration
        merge_reasoning_content_in_choices configurable_clientside_auth_params supports_system_message
        input_cost_per_second output_cost_per_second  input_cost_per_image
        cache_read_input_token_cost cache_creation_input_token_cost fallbacks context_window_fallback_dict
        hf_model_name custom_tokenizer model_info caching_groups auto_router_config_path auto_router_default_model
        auto_router_config auto_router_embedding_model guardrails prompt_id prompt_variables
        litellm_system_prompt ssl_verify keepalive_timeout vector_store_ids enable_json_schema_validation
    }
}

section! {
    /// `model_info`.
    ModelInfo {
        mode: String,
        input_cost_per_token: Scalar,
        output_cost_per_token: Scalar,
        max_output_tokens: u64,
    } not acted on {
        id base_model max_tokens max_input_tokens db_model team_id team_public_model_name access_groups
        supports_vision supports_function_calling supports_parallel_function_calling supports_response_schema
        supports_system_messages supports_prompt_caching supports_audio_input supports_audio_output
        supports_tool_choice supports_reasoning supports_web_search supports_pdf_input supported_openai_params
        supported_environments description tier version health_check_model health_check_timeout
        health_check_voice health_check_max_tokens disable_background_health_check created_at updated_at created_by
        updated_by custom_tokenizer litellm_provider cache_read_input_token_cost cache_creation_input_token_cost
        input_cost_per_second output_cost_per_second output_vector_size additional_prop tags
    }
}

section! {
    /// `general_settings`.
    GeneralSettings {
        master_key: Spanned<SecretRef>,
        database_url: Spanned<SecretRef>,
    } not acted on {
        completion_model store_prompts_in_spend_logs forward_client_headers_to_llm_api disable_spend_logs
        disable_spend_updates disable_master_key_return disable_retry_on_max_parallel_request_limit_error
        disable_reset_budget disable_adding_master_key_hash_to_db disable_responses_id_security enable_jwt_auth
        enforce_user_param reject_clientside_metadata_tags allowed_routes key_management_system
        maximum_spend_logs_retention_period maximum_spend_logs_retention_interval user_mcp_management_mode
        database_connection_pool_limit database_connection_timeout database_type
        allow_requests_on_db_unavailable custom_auth max_parallel_requests global_max_parallel_requests
        infer_model_from_keys background_health_checks health_check_interval alerting alerting_threshold
        use_client_credentials_pass_through_routes health_check_details public_routes alert_types enforced_params
        enable_oauth2_auth use_x_forwarded_for service_account_settings image_generation_model store_model_in_db
        supported_db_objects max_request_size_mb max_response_size_mb proxy_budget_rescheduler_min_time
        proxy_budget_rescheduler_max_time proxy_batch_write_at proxy_batch_polling_interval alerting_args
        custom_key_generate custom_key_update allowed_ips embedding_model default_team_disabled
        alert_to_webhook_url key_management_settings allow_user_auth user_api_key_cache_ttl
        disable_prisma_schema_update litellm_key_header_name moderation_model custom_sso
        allow_client_side_credentials admin_only_routes use_azure_key_vault use_google_kms spend_report_frequency
        ui_access_mode litellm_jwtauth litellm_license oauth2_config_mappings pass_through_endpoints
        enable_oauth2_proxy_auth forward_openai_org_id use_redis_transaction_buffer role_permissions
        control_plane_url custom_ui_sso_sign_in_handler enable_public_model_hub store_audit_logs
        mcp_internal_ip_ranges disable_error_logs
    }
}

section! {
    /// `litellm_settings`.
    LitellmSettings {
        num_retries: u32,
        request_timeout: Seconds,
        drop_params: bool,
        allowed_fails: u32,
        cooldown_time: Seconds,
        fallbacks: LitellmFallbacks,
        context_window_fallbacks: LitellmFallbacks,
        content_policy_fallbacks: LitellmFallbacks,
        default_fallbacks: Vec<String>,
    } not acted on {
        success_callback failure_callback callbacks service_callbacks turn_off_message_logging
        redact_user_api_key_info langfuse_default_tags force_ipv4 json_logs mcp_aliases cache cache_params
        modify_params enable_preview_features set_verbose disable_end_user_cost_tracking
        disable_end_user_cost_tracking_prometheus_only key_generation_settings
        disable_add_transform_inline_image_block use_chat_completions_url_for_anthropic_messages
        disable_hf_tokenizer_download enable_json_schema_validation enable_key_alias_format_validation
        disable_copilot_system_to_assistant telemetry ssl_verify ssl_certificate max_budget budget_duration
        max_internal_user_budget internal_user_budget_duration default_internal_user_params default_team_params
        default_team_settings default_key_generate_params upperbound_key_generate_params default_max_internal_user_budget
        max_end_user_budget max_end_user_budget_id tag_budget_config cost_discount_config s3_callback_params
        datadog_params prometheus_metrics_config prometheus_initialize_budget_metrics require_auth_for_metrics_endpoint
        custom_prometheus_metadata_labels custom_prometheus_tags add_function_to_prompt guardrails tools
        forward_traceparent_to_llm_provider public_model_groups public_agent_groups num_retries_per_request
        store_audit_logs extra_spend_tag_headers default_redis_batch_cache_expiry enable_loadbalancing_on_batch_endpoints
        model_group_settings use_aiohttp_transport suppress_debug_info priority_reservation
    }
}

section! {
    /// `router_settings`.
    RouterSettings {
        routing_strategy: Spanned<String>,
        num_retries: u32,
        retry_after: Seconds,
        timeout: Seconds,
        stream_timeout: Seconds,
        allowed_fails: u32,
        cooldown_time: Seconds,
        disable_cooldowns: bool,
        fallbacks: LitellmFallbacks,
        context_window_fallbacks: LitellmFallbacks,
        content_policy_fallbacks: LitellmFallbacks,
        default_fallbacks: Vec<String>,
        model_group_alias: BTreeMap<String, AliasTarget>,
    } not acted on {
        redis_host redis_password redis_port redis_db redis_url enable_pre_call_checks enable_pre_call_check
        enable_tag_filtering tag_filtering_match_any retry_policy allowed_fails_policy default_max_parallel_requests
        default_priority polling_interval max_fallbacks default_litellm_params debug_level client_ttl cache_kwargs
        routing_strategy_args caching_groups alerting_config assistants_config set_verbose provider_budget_config
        model_group_retry_policy cache_responses router_general_settings optional_pre_call_checks
        deployment_affinity_ttl_seconds ignore_invalid_deployments search_tools guardrail_list enable_weighted_failover
    }
}

/// LiteLLM writes fallbacks as a list of one-member maps.
pub(super) type LitellmFallbacks = Vec<BTreeMap<String, Vec<String>>>;

/// Seconds, whole or with a fraction, or a reference to the environment that is not acted on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let millis = crate::price::decimal(text.trim(), 3)
            .map_err(|_| de::Error::custom("seconds are expected, such as 30 or 0.5"))?;
        Ok(Self(millis))
    }
}

/// A number whose exact text is kept.
pub(super) type Scalar = String;

/// A share: LiteLLM takes fractions too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight(u32);

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let milli = crate::price::decimal(text.trim(), 3)
            .map_err(|_| de::Error::custom("a weight is a number with at most three decimals"))?;
        u32::try_from(milli).map(Self).map_err(|_| de::Error::custom("too large a weight"))
    }
}

/// `model_group_alias` maps a name to a name, or to `{ model: NAME, hidden: BOOL }`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum AliasTarget {
    Name(String),
    Full {
        model: String,
        #[serde(rename = "hidden")]
        _hidden: Option<bool>,
    },
}

/// What our own file would say.
pub(super) fn translate(written: Written) -> Result<Loaded, ConfigError> {
    let mut not_acted_on: Vec<String> = written.not_acted_on().into_iter().map(str::to_owned).collect();
    let mut note =
        |path: &str, names: Vec<&str>| not_acted_on.extend(names.iter().map(|n| format!("{path}.{n}")));
    let general = written.general_settings.unwrap_or_default();
    let litellm = written.litellm_settings.unwrap_or_default();
    let router = written.router_settings.unwrap_or_default();
    note("general_settings", general.not_acted_on());
    note("litellm_settings", litellm.not_acted_on());
    note("router_settings", router.not_acted_on());
    if router.routing_strategy.as_ref().is_some_and(|s| strategy(&s.value).is_none()) {
        note("router_settings", vec!["routing_strategy"]);
    }
    let mut models: BTreeMap<String, Vec<Deployment>> = BTreeMap::new();
    for entry in written.model_list.unwrap_or_default() {
        let (name, deployment) = deployment(&entry, &mut note)?;
        models.entry(name).or_default().push(deployment);
    }
    shuffle_weights(&mut models);
    let mut file = File {
        master_key: general.master_key,
        database_url: general.database_url,
        drop_params: litellm.drop_params.unwrap_or_default(),
        timeouts: Timeouts {
            // Of one attempt there, and a long stream is not cut: so here it is the time to the first byte.
            first_byte_ms: router.timeout.or(router.stream_timeout).or(litellm.request_timeout).map(|s| s.0),
            ..Timeouts::default()
        },
        models,
        ..File::default()
    };
    add_aliases(&mut file.models, router.model_group_alias.as_ref());
    file.routing = routing(litellm, router);
    Ok(Loaded { file, not_acted_on, lenient: true })
}

/// Where both sections speak, the router's wins.
fn routing(litellm: LitellmSettings, router: RouterSettings) -> Routing {
    let cooldown = router.cooldown_time.or(litellm.cooldown_time).map(|s| s.0);
    Routing {
        retries: router.num_retries.or(litellm.num_retries),
        backoff_ms: router.retry_after.map(|s| s.0),
        backoff_max_ms: None,
        strategy: router.routing_strategy.as_ref().and_then(|s| strategy(&s.value)),
        allowed_fails: router.allowed_fails.or(litellm.allowed_fails),
        cooldown_ms: if router.disable_cooldowns == Some(true) { Some(0) } else { cooldown },
        fallbacks: fallbacks(router.fallbacks.or(litellm.fallbacks)),
        context_window_fallbacks: fallbacks(
            router.context_window_fallbacks.or(litellm.context_window_fallbacks),
        ),
        content_policy_fallbacks: fallbacks(
            router.content_policy_fallbacks.or(litellm.content_policy_fallbacks),
        ),
        default_fallbacks: router.default_fallbacks.or(litellm.default_fallbacks).unwrap_or_default(),
        ..Routing::default()
    }
}

/// LiteLLM's names for how one of several deployments is chosen.
fn strategy(name: &str) -> Option<Strategy> {
    Some(match name {
        "simple-shuffle" => Strategy::Weighted,
        "least-busy" => Strategy::LeastBusy,
        "usage-based-routing" | "usage-based-routing-v2" => Strategy::LeastUsed,
        "latency-based-routing" => Strategy::Latency,
        "cost-based-routing" => Strategy::Cost,
        _ => return None,
    })
}

fn fallbacks(written: Option<LitellmFallbacks>) -> Fallbacks {
    written.unwrap_or_default().into_iter().flatten().collect()
}

fn deployment(
    entry: &ModelEntry,
    note: &mut impl FnMut(&str, Vec<&str>),
) -> Result<(String, Deployment), ConfigError> {
    let name = entry
        .model_name
        .as_ref()
        .ok_or_else(|| ConfigError::new("an entry of `model_list` has no `model_name`"))?;
    let missing =
        |what: &str| ConfigError::at(name.referenced, format!("model `{}` has no `{what}`", name.value));
    let params = entry.litellm_params.as_ref().ok_or_else(|| missing("litellm_params"))?;
    let model = params.model.as_ref().ok_or_else(|| missing("litellm_params.model"))?;
    let path = format!("model_list[{}]", name.value);
    note(&path, entry.not_acted_on());
    note(&format!("{path}.litellm_params"), params.not_acted_on());
    let info = entry.model_info.as_ref();
    note(&format!("{path}.model_info"), info.map(ModelInfo::not_acted_on).unwrap_or_default());

    let split = split_model(&model.value, params.custom_llm_provider.as_deref());
    let unnamed = split.is_none().then(|| {
        format!("`{}` does not say which provider serves it: write it as `provider/model`", model.value)
    });
    let (provider, upstream) = split.unwrap_or_else(|| ("unnamed".to_owned(), model.value.clone()));
    let mut headers = params.extra_headers.clone().unwrap_or_default();
    if let Some(organization) = &params.organization {
        headers.insert("openai-organization".to_owned(), organization.clone());
    }
    let mode = info.and_then(|i| i.mode.as_deref()).unwrap_or("chat");
    const MODES: [&str; 7] =
        ["chat", "completion", "responses", "embedding", "rerank", "image_generation", "image_edit"];
    let unavailable = (!MODES.contains(&mode))
        .then(|| format!("`mode: {mode}` is not supported by this version"))
        .or(unnamed);
    Ok((
        name.value.clone(),
        Deployment {
            provider: Spanned::new(provider, model.referenced, model.defined),
            model: Some(upstream),
            api_key: params.api_key.clone(),
            aws: aws(params),
            google: google(params),
            azure: azure(params),
            base_url: params
                .api_base
                .clone()
                .or_else(|| params.base_url.clone())
                .or_else(|| params.aws_bedrock_runtime_endpoint.clone()),
            weight: params.weight.map(|w| w.0),
            order: params.order,
            rpm: params.rpm,
            tpm: params.tpm,
            price: price(params, info),
            max_output_tokens: info.and_then(|i| i.max_output_tokens),
            image_urls: None,
            stream_usage: None,
            format: None,
            headers,
            timeouts: Timeouts {
                first_byte_ms: params.timeout.or(params.stream_timeout).map(|s| s.0),
                ..Timeouts::default()
            },
            unavailable,
        },
    ))
}

/// A value of a LiteLLM file that may name a variable.
fn plain(text: &Option<String>) -> Option<String> {
    text.as_deref().map(|text| match text.strip_prefix("os.environ/") {
        Some(name) => format!("${{{}}}", name.trim()),
        None => text.to_owned(),
    })
}

fn aws(params: &LitellmParams) -> Option<Aws> {
    let aws = Aws {
        region: plain(&params.aws_region_name),
        access_key_id: params.aws_access_key_id.clone(),
        secret_access_key: params.aws_secret_access_key.clone(),
        session_token: params.aws_session_token.clone(),
    };
    (aws.region.is_some() || aws.access_key_id.is_some()).then_some(aws)
}

fn google(params: &LitellmParams) -> Option<Google> {
    let google = Google {
        project: plain(&params.vertex_project),
        location: plain(&params.vertex_location),
        credentials: params.vertex_credentials.clone(),
    };
    (google.project.is_some() || google.location.is_some() || google.credentials.is_some()).then_some(google)
}

fn azure(params: &LitellmParams) -> Option<Azure> {
    let azure = Azure {
        api_version: plain(&params.api_version),
        token: params.azure_ad_token.clone(),
        tenant_id: plain(&params.tenant_id),
        client_id: plain(&params.client_id),
        client_secret: params.client_secret.clone(),
    };
    let any = azure.api_version.is_some() || azure.token.is_some() || azure.tenant_id.is_some();
    any.then_some(azure)
}

/// `openai/gpt-4o` is provider and model; a bare name is recognised where LiteLLM recognises it.
fn split_model(model: &str, provider: Option<&str>) -> Option<(String, String)> {
    if let Some(provider) = provider {
        let bare = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
        return Some((provider.to_owned(), bare.to_owned()));
    }
    if let Some((provider, rest)) = model.split_once('/') {
        return Some((provider.to_owned(), rest.to_owned()));
    }
    let bare = [
        ("gpt-", "openai"),
        ("chatgpt-", "openai"),
        ("o1", "openai"),
        ("o3", "openai"),
        ("o4", "openai"),
        ("text-embedding-", "openai"),
        ("dall-e-", "openai"),
        ("claude-", "anthropic"),
        ("command-", "cohere"),
        ("gemini-", "vertex_ai"),
    ];
    bare.iter()
        .find(|(prefix, _)| model.starts_with(prefix))
        .map(|(_, p)| ((*p).to_owned(), model.to_owned()))
}

fn price(params: &LitellmParams, info: Option<&ModelInfo>) -> Option<PriceWritten> {
    let input = params.input_cost_per_token.as_deref().or_else(|| info?.input_cost_per_token.as_deref());
    let output = params.output_cost_per_token.as_deref().or_else(|| info?.output_cost_per_token.as_deref());
    let (input, output) = match (input, output, &params.output_cost_per_image) {
        (Some(input), Some(output), _) => (Some(input), Some(output)),
        (_, _, Some(_)) => (None, None),
        _ => return None,
    };
    // Dollars per token become dollars per million tokens by moving the exponent, exactly.
    let per_mtok = |text: &str| match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => exponent
            .parse::<i32>()
            .map_or_else(|_| text.to_owned(), |e| format!("{mantissa}e{}", e.saturating_add(6))),
        None => format!("{text}e6"),
    };
    Some(PriceWritten {
        input_usd_per_mtok: input.map(per_mtok),
        output_usd_per_mtok: output.map(per_mtok),
        usd_per_image: params.output_cost_per_image.clone(),
        ..PriceWritten::default()
    })
}

/// LiteLLM's simple shuffle: by `weight` where one of a group has it, else by `rpm`, else by `tpm`, else evenly.
fn shuffle_weights(models: &mut BTreeMap<String, Vec<Deployment>>) {
    for group in models.values_mut() {
        let by: fn(&Deployment) -> Option<u64> = if group.iter().any(|d| d.weight.is_some()) {
            |d| d.weight.map(u64::from)
        } else if group.iter().any(|d| d.rpm.is_some()) {
            |d| d.rpm
        } else if group.iter().any(|d| d.tpm.is_some()) {
            |d| d.tpm
        } else {
            continue;
        };
        for deployment in group {
            deployment.weight = Some(u32::try_from(by(deployment).unwrap_or(0)).unwrap_or(u32::MAX));
        }
    }
}

fn add_aliases(
    models: &mut BTreeMap<String, Vec<Deployment>>,
    aliases: Option<&BTreeMap<String, AliasTarget>>,
) {
    for (alias, target) in aliases.into_iter().flatten() {
        let (AliasTarget::Name(target) | AliasTarget::Full { model: target, .. }) = target;
        if let Some(group) = models.get(target) {
            let copies = group.clone();
            models.entry(alias.clone()).or_insert(copies);
        }
    }
}
