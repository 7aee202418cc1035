/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alert.hh - how a reason travels: TLS has a byte for it, and OpenSSL chooses that by the
 * error that the check of a certificate came to. Both directions of the mapping are here.
 */
#pragma once

#include "refusal.hh"

#include <optional>
#include <string>

namespace corbel::trust {

/* The X509_V_ERR_ of which OpenSSL makes the alert for @reason. */
[[nodiscard]] int verify_error_of(Reason reason);
/* Of the reason code of an error of libssl; nothing: it was no alert that came. */
[[nodiscard]] std::optional<int> alert_of(int reason_code);
/* What the other side means by it, and what to do. */
[[nodiscard]] std::string alert_text(const std::string &remote, int alert);

} /* namespace corbel::trust */
