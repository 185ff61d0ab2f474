-- The tables of LiteLLM 1.82.6 that are taken over, with their columns.
CREATE TABLE "LiteLLM_BudgetTable" (
    "budget_duration" TEXT, "budget_id" TEXT NOT NULL, "budget_reset_at" TIMESTAMP(3),
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "created_by" TEXT NOT NULL,
    "max_budget" DOUBLE PRECISION, "max_parallel_requests" INTEGER, "model_max_budget" JSONB,
    "rpm_limit" BIGINT, "soft_budget" DOUBLE PRECISION, "tpm_limit" BIGINT,
    "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL,
    PRIMARY KEY ("budget_id")
);
CREATE TABLE "LiteLLM_OrganizationTable" (
    "budget_id" TEXT NOT NULL, "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT NOT NULL, "metadata" JSONB NOT NULL DEFAULT '{}',
    "model_spend" JSONB NOT NULL DEFAULT '{}', "models" TEXT[], "object_permission_id" TEXT,
    "organization_alias" TEXT NOT NULL, "organization_id" TEXT NOT NULL,
    "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0,
    "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT NOT NULL,
    PRIMARY KEY ("organization_id")
);
CREATE TABLE "LiteLLM_TeamTable" (
    "access_group_ids" TEXT[] DEFAULT ARRAY[]::TEXT[], "admins" TEXT[],
    "allow_team_guardrail_config" BOOLEAN NOT NULL DEFAULT false, "blocked" BOOLEAN NOT NULL DEFAULT false,
    "budget_duration" TEXT, "budget_reset_at" TIMESTAMP(3),
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "max_budget" DOUBLE PRECISION,
    "max_parallel_requests" INTEGER, "members" TEXT[], "members_with_roles" JSONB NOT NULL DEFAULT '{}',
    "metadata" JSONB NOT NULL DEFAULT '{}', "model_id" INTEGER,
    "model_max_budget" JSONB NOT NULL DEFAULT '{}', "model_spend" JSONB NOT NULL DEFAULT '{}',
    "models" TEXT[], "object_permission_id" TEXT, "organization_id" TEXT,
    "policies" TEXT[] DEFAULT ARRAY[]::TEXT[], "router_settings" JSONB DEFAULT '{}', "rpm_limit" BIGINT,
    "soft_budget" DOUBLE PRECISION, "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "team_alias" TEXT,
    "team_id" TEXT NOT NULL, "team_member_permissions" TEXT[] DEFAULT ARRAY[]::TEXT[], "tpm_limit" BIGINT,
    "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY ("team_id")
);
CREATE TABLE "LiteLLM_UserTable" (
    "allowed_cache_controls" TEXT[] DEFAULT ARRAY[]::TEXT[], "budget_duration" TEXT,
    "budget_reset_at" TIMESTAMP(3), "created_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
    "max_budget" DOUBLE PRECISION, "max_parallel_requests" INTEGER, "metadata" JSONB NOT NULL DEFAULT '{}',
    "model_max_budget" JSONB NOT NULL DEFAULT '{}', "model_spend" JSONB NOT NULL DEFAULT '{}',
    "models" TEXT[], "object_permission_id" TEXT, "organization_id" TEXT, "password" TEXT,
    "policies" TEXT[] DEFAULT ARRAY[]::TEXT[], "rpm_limit" BIGINT,
    "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "sso_user_id" TEXT, "team_id" TEXT,
    "teams" TEXT[] DEFAULT ARRAY[]::TEXT[], "tpm_limit" BIGINT,
    "updated_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, "user_alias" TEXT, "user_email" TEXT,
    "user_id" TEXT NOT NULL, "user_role" TEXT, PRIMARY KEY ("user_id")
);
CREATE TABLE "LiteLLM_VerificationToken" (
    "access_group_ids" TEXT[] DEFAULT ARRAY[]::TEXT[], "agent_id" TEXT,
    "aliases" JSONB NOT NULL DEFAULT '{}', "allowed_cache_controls" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "allowed_routes" TEXT[] DEFAULT ARRAY[]::TEXT[], "auto_rotate" BOOLEAN DEFAULT false, "blocked" BOOLEAN,
    "budget_duration" TEXT, "budget_id" TEXT, "budget_reset_at" TIMESTAMP(3),
    "config" JSONB NOT NULL DEFAULT '{}', "created_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP,
    "created_by" TEXT, "expires" TIMESTAMP(3), "key_alias" TEXT, "key_name" TEXT,
    "key_rotation_at" TIMESTAMP(3), "last_active" TIMESTAMP(3), "last_rotation_at" TIMESTAMP(3),
    "max_budget" DOUBLE PRECISION, "max_parallel_requests" INTEGER, "metadata" JSONB NOT NULL DEFAULT '{}',
    "model_max_budget" JSONB NOT NULL DEFAULT '{}', "model_spend" JSONB NOT NULL DEFAULT '{}',
    "models" TEXT[], "object_permission_id" TEXT, "organization_id" TEXT,
    "permissions" JSONB NOT NULL DEFAULT '{}', "policies" TEXT[] DEFAULT ARRAY[]::TEXT[], "project_id" TEXT,
    "rotation_count" INTEGER DEFAULT 0, "rotation_interval" TEXT, "router_settings" JSONB DEFAULT '{}',
    "rpm_limit" BIGINT, "soft_budget_cooldown" BOOLEAN NOT NULL DEFAULT false,
    "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "team_id" TEXT, "token" TEXT NOT NULL,
    "tpm_limit" BIGINT, "updated_at" TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP, "updated_by" TEXT,
    "user_id" TEXT, PRIMARY KEY ("token")
);
CREATE TABLE "LiteLLM_TeamMembership" (
    "budget_id" TEXT, "spend" DOUBLE PRECISION NOT NULL DEFAULT 0.0, "team_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL, PRIMARY KEY (user_id, team_id)
);
