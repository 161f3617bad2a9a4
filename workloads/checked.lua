-- SPDX-License-Identifier: GPL-2.0-only
-- For wrk: compares each body with a file, the argument after "--", and prints
-- one line of JSON at the end.

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    local file = assert(io.open(arguments[1], "rb"))
    expected = file:read("*a")
    file:close()
    checked, wrong = 0, 0
end

function response(status, headers, body)
    checked = checked + 1
    if status ~= 200 or body ~= expected then
        wrong = wrong + 1
    end
end

function done(summary, latency, requests)
    local checked, wrong = 0, 0
    for _, thread in ipairs(threads) do
        checked = checked + thread:get("checked")
        wrong = wrong + thread:get("wrong")
    end
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.timeout
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "checked": %d, "wrong": %d, '
        .. '"errors": %d}\n',
        summary.requests, summary.duration, checked, wrong, failed))
end
