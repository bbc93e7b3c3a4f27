// Package tuning stands between an engine and calibrate, which knows neither
// models nor pictures: an opened model on a set of frames as a calibrate.Target,
// the plans to try, drawn frames where there are no pictures of the place, and
// what a calibration's figures hold for. `dynvitd calibrate` and the daemon's own
// calibration are made of it.
package tuning
