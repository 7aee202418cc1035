/* SPDX-License-Identifier: GPL-2.0-or-later */
/* words.hh - what an operator says and is shown, read and counted by tool and daemon alike. */
#pragma once

#include "../../kmod/block/qos/log_buckets.hh"

#include <libcorbel/error.hh>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace corbel::workloads {

/* First byte, bytes. */
using ByteRange = std::pair<std::uint64_t, std::uint64_t>;
/* "FIRST+BYTES", each a number of bytes or one with K, M, G, T, P. EINVAL. */
[[nodiscard]] Result<ByteRange> parse_range(const std::string &text);

/* "500us", "20ms", "1s": microseconds. EINVAL. */
[[nodiscard]] Result<std::uint64_t> parse_latency(const std::string &text);

/* Number of a bucket, as of log_buckets.hh, and how often. */
using Histogram = std::map<unsigned, std::uint64_t>;
/* The end of the bucket that so many of a thousand are not above, in ns; 0: there are none. */
[[nodiscard]] std::uint64_t quantile(const Histogram &histogram, unsigned per_mille);

} /* namespace corbel::workloads */
