#ifndef BELFRY_BELFRY_DOCTOR_H
#define BELFRY_BELFRY_DOCTOR_H

#include "belfry/command.h"
#include "config/config.h"

/* What `belfry doctor` looks at; each check adds one finding or more. */
enum verdict { VERDICT_OK, VERDICT_NOTE, VERDICT_BAD };

struct finding {
    enum verdict verdict;
    const char *what, *text;
};

enum { FINDINGS_MAX = 32 };

struct doctor {
    struct cli *cli;
    struct config *config; /* NULL after a bad one: most checks then have nothing to go by */
    struct finding findings[FINDINGS_MAX];
    size_t count;
};

/* what and text live as long as the command: literals, or in doctor->cli->arena. */
void doctor_say(struct doctor *doctor, enum verdict verdict, const char *what, const char *text);

void doctor_config(struct doctor *doctor);
void doctor_data(struct doctor *doctor);
void doctor_store(struct doctor *doctor);
void doctor_ports(struct doctor *doctor);
void doctor_clock(struct doctor *doctor);
void doctor_zones(struct doctor *doctor);
void doctor_scripts(struct doctor *doctor);
void doctor_server(struct doctor *doctor);

#endif
