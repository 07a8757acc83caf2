/* The next runs of a schedule, asked for again while its form is being filled in. Without this they show on save. */
"use strict";
{
    const DELAY_MS = 250;
    const RULE = ["crontab", "day_rule", "interval_seconds_0", "interval_seconds_1", "time_zone"];
    let timer = 0;
    let request = null;

    const show = (box, html) => {
        const page = new DOMParser().parseFromString(html, "text/html");
        box.replaceChildren(...page.body.childNodes);
    };

    const ask = async (box, fields) => {
        const query = new URLSearchParams(fields.map((field) => [field.name, field.value]));
        request?.abort();
        request = new AbortController();
        try {
            const answer = await fetch(`${box.dataset.url}?${query}`, {signal: request.signal, redirect: "error"});
            if (answer.ok) {
                show(box, await answer.text());
            }
        } catch {
            // Another question took its place, or the site does not answer: what stands there stays.
        }
    };

    const watch = () => {
        const box = document.getElementById("jobs-next-runs");
        const form = box && document.getElementById("periodicschedule_form");
        const fields = form ? RULE.map((name) => form.elements.namedItem(name)) : [];
        if (!fields.length || !fields.every(Boolean)) {
            return; // a page to look at only
        }
        const askSoon = () => {
            clearTimeout(timer);
            timer = setTimeout(() => ask(box, fields), DELAY_MS);
        };
        for (const field of fields) {
            field.addEventListener("input", askSoon);
            field.addEventListener("change", askSoon);
        }
    };

    document.addEventListener("DOMContentLoaded", watch);
}
