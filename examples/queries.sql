-- Questions to the lake in DuckDB's SQL. First make the views, then run any of them:
--   returns-orchestration views
--   duckdb returns.duckdb < examples/queries.sql
-- Times are in UTC; `day` is the day in RETURNS_REPORT_TIME_ZONE.

-- Items of each month, by return reason.
SELECT date_trunc('month', day) AS month, return_reason, sum(items) AS items
FROM return_reasons_daily
GROUP BY ALL
ORDER BY month, items DESC;

-- The share of each refund mode, week by week.
SELECT week, refund_mode, returns / sum(returns) OVER (PARTITION BY week) AS share
FROM (
    SELECT date_trunc('week', day) AS week, refund_mode, sum(returns) AS returns
    FROM refund_modes_daily
    GROUP BY ALL
)
ORDER BY week, share DESC;

-- The twenty SKUs that come back most, and the most frequent reason of each.
SELECT sku, sum(items) AS items, arg_max(return_reason, items) AS most_frequent_reason
FROM (SELECT sku, return_reason, sum(items) AS items FROM skus_daily GROUP BY ALL)
WHERE sku <> 'Not given'
GROUP BY sku
ORDER BY items DESC, sku
LIMIT 20;

-- How long each courier takes from the AWB to the pickup, of the returns of the last 30 days.
SELECT cp_name,
       count(*) AS picked_up,
       median(epoch(picked_up_at - awb_at)) / 3600 AS hours_of_half,
       quantile_cont(epoch(picked_up_at - awb_at), 0.9) / 3600 AS hours_of_nine_of_ten
FROM returns_daily
WHERE picked_up_at >= awb_at AND day > (SELECT max(day) FROM returns_daily) - 30
GROUP BY cp_name
ORDER BY picked_up DESC;

-- Returns that are stuck, by courier and cause.
SELECT cp_name, stuck, count(*) AS returns, max(age_h) / 24 AS oldest_in_days
FROM open_returns
WHERE stuck IS NOT NULL
GROUP BY ALL
ORDER BY returns DESC;

-- Open returns with a webhook after their last look, and its status code.
SELECT return_reference_number, open_returns.state, max(event_at) AS newest_event_at,
       arg_max(webhook_events.clickpost_status_code, event_at) AS clickpost_status_code
FROM open_returns
JOIN webhook_events USING (return_reference_number)
WHERE event_at > last_looked_at
GROUP BY ALL
ORDER BY newest_event_at DESC;

-- How far the returns of each day got.
SELECT day, step, reached, round(100.0 * reached / "of", 1) AS percent
FROM funnel_daily
ORDER BY day DESC, reached DESC;

-- Webhooks that were lost, by day.
SELECT day, returns, "both", poll_only AS lost, round(100 * rate, 2) AS percent_delivered
FROM webhook_delivery_daily
ORDER BY day DESC;

-- Where returns are picked up: states and the first three digits of the pincode.
SELECT pickup_state, pickup_region, count(*) AS returns
FROM returns_daily
WHERE pickup_state IS NOT NULL
GROUP BY ALL
ORDER BY returns DESC
LIMIT 20;

-- The states of one return.
SELECT s.return_reference_number, s.requested_at, s.state, s.at, s.source
FROM return_states s
WHERE s.return_reference_number = (SELECT min(return_reference_number) FROM returns_daily)
ORDER BY s.requested_at, s.at;
