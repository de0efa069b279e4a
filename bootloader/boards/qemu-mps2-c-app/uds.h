/* The part of UDS over ISO-TP that an application owes a tester (docs/can-protocol.md). */
#ifndef UDS_H
#define UDS_H

#include "board.h"

/* Longest request: what a single frame holds. */
#define UDS_MAX_REQUEST 7u

/* What a tester has asked the application to do once its answer has left. */
enum uds_wish { UDS_NOTHING, UDS_RESET, UDS_LOADER };

/* `version` is what F195 answers, at most 32 characters. */
void uds_start(struct anchorage_app *app, const char *version);
/* Takes a frame of the bus. */
void uds_frame(const struct can_frame *frame);
/* Goes on sending and keeps the session's time; call it every 10 ms at least. */
enum uds_wish uds_poll(void);

#endif
