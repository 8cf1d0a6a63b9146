// SPDX-License-Identifier: Apache-2.0
// The routes of the admin API and their handlers.
#pragma once

#include "admin/route.h"

extern const struct route api_routes[];
extern const size_t api_route_count;

// Each takes a deferred request that passed the checks of api.c and sees to it
// that it is answered once.
void api_models_list(struct request *r);
void api_model_get(struct request *r);
void api_model_put(struct request *r);
void api_model_patch(struct request *r);
void api_model_delete(struct request *r);
void api_import(struct request *r);
void api_keys_list(struct request *r);
void api_key_get(struct request *r);
void api_key_create(struct request *r);
void api_key_patch(struct request *r);
void api_key_revoke(struct request *r);
void api_key_rotate(struct request *r);
void api_key_aliases_get(struct request *r);
void api_key_aliases_put(struct request *r);
void api_alias_get(struct request *r);
void api_alias_put(struct request *r);
void api_alias_delete(struct request *r);
void api_aliases_list(struct request *r);
void api_config_get(struct request *r);
void api_config_diff(struct request *r);
void api_config_apply(struct request *r);
void api_store_accept(struct request *r);
void api_fleet_list(struct request *r);
void api_fleet_forget(struct request *r);
void api_revision_get(struct request *r);
void api_audit_list(struct request *r);
void api_version_get(struct request *r);
