#include "belfry/command.h"

#include "base/clock.h"
#include "belfry/client.h"
#include "belfry/doctor.h"
#include "belfry/table.h"
#include "config/config.h"
#include "json/json.h"

#include <stdio.h>

enum { OUT_BYTES = 1024 * 1024 };

/* In the order in which one would look. */
static void (*const checks[])(struct doctor *doctor) = {
    doctor_config, doctor_data,  doctor_store,   doctor_ports,
    doctor_clock,  doctor_zones, doctor_scripts, doctor_server,
};

static const char *const verdict_names[] = { "ok", "note", "bad" };

void doctor_say(struct doctor *doctor, enum verdict verdict, const char *what, const char *text)
{
    struct finding *finding = &doctor->findings[doctor->count++];

    *finding = (struct finding){ verdict, what, text };
}

static void json_findings_print(const struct doctor *doctor)
{
    struct json_writer w;
    struct buf out;

    buf_init(&out, OUT_BYTES);
    json_begin(&w, &out);
    json_array(&w);
    for (size_t i = 0; i < doctor->count; i++) {
        json_object(&w);
        json_name(&w, "check");
        json_text(&w, doctor->findings[i].what);
        json_name(&w, "verdict");
        json_text(&w, verdict_names[doctor->findings[i].verdict]);
        json_name(&w, "text");
        json_text(&w, doctor->findings[i].text);
        json_object_end(&w);
    }
    json_array_end(&w);
    printf("%s\n", buf_text(&out));
    buf_done(&out);
}

static void findings_print(struct cli *cli, const struct doctor *doctor)
{
    static const char *const columns[] = { "CHECK", "", "WHAT WAS FOUND", NULL };
    struct table *table = table_new(cli->arena, columns);

    for (size_t i = 0; i < doctor->count; i++) {
        const struct finding *finding = &doctor->findings[i];
        const char *cells[] = { finding->what, verdict_names[finding->verdict], finding->text };

        table_add(table, cells);
    }
    table_print(table);
}

static int doctor(struct cli *cli)
{
    struct doctor doctor = { .cli = cli };
    int code = EXIT_OK;

    for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
        checks[i](&doctor);
    for (size_t i = 0; i < doctor.count; i++) {
        if (doctor.findings[i].verdict == VERDICT_BAD)
            code = EXIT_REFUSED;
    }
    if (cli_has(cli, "json"))
        json_findings_print(&doctor);
    else
        findings_print(cli, &doctor);
    config_free(&doctor.config);
    return code;
}

static const struct cli_option options[] = {
    { "config", 0, "FILE", "the configuration file (default: as for serve)", NULL },
    { 0 },
};

static const struct subcommand subcommands[] = {
    { "", "", "Looks at what Belfry needs on this machine, and says what is wrong.", options,
      doctor, "  belfry doctor\n  BELFRY_DATA=/srv/belfry belfry doctor --json\n", false },
    { 0 },
};

const struct command command_doctor = {
    .name = "doctor",
    .about = "Checks this machine.",
    .subcommands = subcommands,
    .more = "Exit code 1 where something is bad; a note is worth a look but no fault.\n",
};

int cmd_doctor(int argc, char **argv)
{
    return command_main(&command_doctor, argc, argv);
}
