/// @file handle.hpp
///
/// How the C++ face owns C's handles and turns failures into exceptions. Included by oss_callback.hpp; nothing
/// in it is for programs.
#ifndef OSS_CALLBACK_HANDLE_HPP
#define OSS_CALLBACK_HANDLE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../oss_callback.h"
#include "generated.hpp"

namespace oss_callback {

namespace detail {

template <typename T, void (*Free)(T *)>
struct Freed {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <typename T, void (*Free)(T *)>
using Handle = std::unique_ptr<T, Freed<T, Free>>;

/// Calls `function(out, error)` and gives what it put into `out`, or throws.
template <typename T, typename Function>
T *made(Function &&function) {
    T *out = nullptr;
    osscb_error *error = nullptr;
    const osscb_status status = function(&out, &error);
    if (status != OSSCB_STATUS_OK) {
        raise(status, error);
    }
    return out;
}

/// An options handle filled from a struct.
template <typename H, typename O>
H filled(typename H::pointer fresh, const O &from) {
    H options(fresh);
    if (!options) {
        throw std::bad_alloc();
    }
    apply(options.get(), from);
    return options;
}

inline std::string owned(const char *text) { return text == nullptr ? std::string() : std::string(text); }

inline std::optional<std::string> maybe(const char *text) {
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

inline osscb_str lend_maybe(const std::optional<std::string> &text) noexcept {
    return text ? lend(std::string_view(*text)) : OSSCB_NO_STR;
}

inline Pairs owned(const osscb_pairs *pairs) {
    Pairs out;
    const std::size_t count = osscb_pairs_count(pairs);
    out.reserve(count);
    for (std::size_t i = 0; i < count; i++) {
        out.emplace_back(owned(osscb_pairs_name(pairs, i)), owned(osscb_pairs_value(pairs, i)));
    }
    return out;
}

inline osscb_str lend_maybe(const std::string &text) noexcept { return lend(text); }

template <typename P>
std::vector<osscb_pair> lend_pairs(const P &pairs) {
    std::vector<osscb_pair> out;
    out.reserve(pairs.size());
    for (const auto &pair : pairs) {
        out.push_back(osscb_pair{lend(pair.first), lend_maybe(pair.second)});
    }
    return out;
}

inline std::int64_t seconds(std::chrono::system_clock::time_point time) noexcept {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

} // namespace detail

} // namespace oss_callback

#endif
