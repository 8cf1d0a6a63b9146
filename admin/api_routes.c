// SPDX-License-Identifier: Apache-2.0
// One row per method and path; nothing else decides where a request goes.
#include "admin/api_routes.h"

#include "admin/paging.h"
#include "common/base/util.h"

#define KEY "/keys/{id}"
#define ALIAS KEY "/aliases/{exact|prefix}/{name...}"
#define MODEL "/models/{id...}"
#define CONFIG_PARAMETERS "mode max_deletes revision allow_missing_target"

const struct route api_routes[] = {
    {"GET", "/models", 0, PAGING_PARAMETERS " q status owned_by", api_models_list},
    {"GET", MODEL, 0, "", api_model_get},
    {"PUT", MODEL, ROUTE_WRITE | ROUTE_BODY, "", api_model_put},
    {"PATCH", MODEL, ROUTE_WRITE | ROUTE_BODY | ROUTE_MERGE_PATCH, "", api_model_patch},
    {"DELETE", MODEL, ROUTE_WRITE, "force", api_model_delete},
    {"POST", "/catalog/import", ROUTE_WRITE | ROUTE_BODY, "format mode max_deletes", api_import},
    {"GET", "/keys", 0, PAGING_PARAMETERS " q status tag", api_keys_list},
    {"POST", "/keys", ROUTE_WRITE | ROUTE_BODY, "allow_missing_target", api_key_create},
    {"GET", KEY, 0, "", api_key_get},
    {"PATCH", KEY, ROUTE_WRITE | ROUTE_BODY | ROUTE_MERGE_PATCH, "", api_key_patch},
    {"DELETE", KEY, ROUTE_WRITE, "", api_key_revoke},
    {"POST", KEY "/rotate", ROUTE_WRITE | ROUTE_BODY_OPTIONAL, "", api_key_rotate},
    {"GET", KEY "/aliases", 0, "", api_key_aliases_get},
    {"PUT", KEY "/aliases", ROUTE_WRITE | ROUTE_BODY, "allow_missing_target", api_key_aliases_put},
    {"GET", ALIAS, 0, "", api_alias_get},
    {"PUT", ALIAS, ROUTE_WRITE | ROUTE_BODY, "allow_missing_target", api_alias_put},
    {"DELETE", ALIAS, ROUTE_WRITE, "", api_alias_delete},
    {"GET", "/aliases", 0, PAGING_PARAMETERS " target broken", api_aliases_list},
    {"GET", "/config", 0, "include", api_config_get},
    {"POST", "/config/diff", ROUTE_BODY, CONFIG_PARAMETERS, api_config_diff},
    {"POST", "/config/apply", ROUTE_WRITE | ROUTE_BODY, CONFIG_PARAMETERS, api_config_apply},
    {"POST", "/store/accept", ROUTE_WRITE | ROUTE_BODY, "", api_store_accept},
    {"GET", "/fleet", 0, "", api_fleet_list},
    {"DELETE", "/fleet/{id}", ROUTE_WRITE, "", api_fleet_forget},
    {"GET", "/revisions/{n}", 0, "", api_revision_get},
    {"GET", "/audit", 0, PAGING_PARAMETERS " actor action resource", api_audit_list},
    {"GET", "/version", 0, "", api_version_get},
};

const size_t api_route_count = CM_ARRAY_LEN(api_routes);
