// Package routing decides by rules who must know of an event, and says why.
//
// It is pure: no I/O, no clock, no memory of earlier events. What an event does
// to incidents that are already open is decided in package incident, from the
// Decision made here.
//
// A *path* names a field of the normalized event ("partner.id") or of the raw
// payload ("data.…"); match, conditions and grouping spell it alike. A *match*
// is a map of paths that must all hold; a *condition* is a rule's when. A
// *table* is the compiled configuration, the only evaluator there is: live
// routing and explain both ask it. To *quiet* a decision is to replace the
// pagers in it by notifiers that wake nobody.
package routing
